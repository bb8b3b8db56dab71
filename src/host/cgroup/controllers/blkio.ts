import { refuse } from "../../oci/check.js";
import type { Resources } from "../../oci/resources.js";
import type { CgroupWrite, Controller, ControllerView } from "./controller.js";

type BlockIO = NonNullable<Resources["blockIO"]>;

const minimumWeight = 10;
const maximumWeight = 1000;

/** blkio.weight 10…1000 as io.weight 1…10000. */
export function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - minimumWeight) * 9999) / (maximumWeight - minimumWeight));
}

const throttles = [
  ["throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps"],
  ["throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps"],
  ["throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops"],
  ["throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops"],
] as const;

function checkWeight(weight: number | undefined, path: string): number {
  const value = weight ?? 0;
  if (value !== 0 && (value < minimumWeight || value > maximumWeight)) {
    refuse(path, `${value} is not a weight from ${minimumWeight} to ${maximumWeight}`);
  }
  return value;
}

function weightsV1(io: BlockIO, view: ControllerView, path: string): CgroupWrite[] {
  // The two schedulers that know weights have their own files: CFQ, gone since Linux 5.0, and BFQ.
  const prefix = view.has("blkio.weight") ? "blkio" : "blkio.bfq";
  const writes: CgroupWrite[] = [];
  const weight = checkWeight(io.weight, `${path}.weight`);
  const leafWeight = checkWeight(io.leafWeight, `${path}.leafWeight`);
  if (weight) writes.push({ file: `${prefix}.weight`, value: String(weight) });
  if (leafWeight) writes.push({ file: "blkio.leaf_weight", value: String(leafWeight) });
  io.weightDevice.forEach((entry, index) => {
    const at = `${path}.weightDevice[${index}]`;
    const device = `${entry.major}:${entry.minor}`;
    const own = checkWeight(entry.weight, `${at}.weight`);
    const leaf = checkWeight(entry.leafWeight, `${at}.leafWeight`);
    if (own) writes.push({ file: `${prefix}.weight_device`, value: `${device} ${own}` });
    if (leaf) writes.push({ file: "blkio.leaf_weight_device", value: `${device} ${leaf}` });
  });
  return writes;
}

function weightsV2(io: BlockIO, view: ControllerView, path: string): CgroupWrite[] {
  const bfq = view.has("io.bfq.weight");
  const weight = checkWeight(io.weight, `${path}.weight`);
  if (checkWeight(io.leafWeight, `${path}.leafWeight`)) view.warn(`${path}.leafWeight: has no effect on cgroup v2`);
  const writes: CgroupWrite[] = [];
  if (weight && bfq) writes.push({ file: "io.bfq.weight", value: String(weight) });
  if (weight && !bfq) writes.push({ file: "io.weight", value: String(ioWeight(weight)) });
  io.weightDevice.forEach((entry, index) => {
    const own = checkWeight(entry.weight, `${path}.weightDevice[${index}].weight`);
    const device = `${entry.major}:${entry.minor}`;
    if (own && bfq) writes.push({ file: "io.bfq.weight", value: `${device} ${own}` });
    if (own && !bfq) writes.push({ file: "io.weight", value: `${device} ${ioWeight(own)}` });
  });
  return writes;
}

/** Block devices: `blkio` on v1, `io` on v2. */
export const blkio: Controller = {
  name: "blkio",
  member: "blockIO",
  writes({ blockIO }, view) {
    if (!blockIO) return [];
    const path = `${view.path}.blockIO`;
    const writes = view.version === 1 ? weightsV1(blockIO, view, path) : weightsV2(blockIO, view, path);
    for (const [member, file, key] of throttles) {
      for (const { major, minor, rate } of blockIO[member]) {
        // 0 lifts a limit: v1 takes it as it is, v2 has a word for it.
        const limit = rate === 0n ? "max" : String(rate);
        if (view.version === 1) writes.push({ file, value: `${major}:${minor} ${rate}` });
        else writes.push({ file: "io.max", value: `${major}:${minor} ${key}=${limit}` });
      }
    }
    return writes;
  },
};
