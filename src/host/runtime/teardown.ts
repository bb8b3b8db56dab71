import { VigilError } from "../../base/errors.js";
import { type Placement, placeOf } from "../cgroup/placement.js";
import type { Op } from "../core/ops.js";

const counters = { 1: "memory.oom_control", 2: "memory.events" } as const;

/** VG_TEARDOWN_MAX without what the core adds: pid, journal, last fact. */
const longest = (1 << 20) - 8192;

/** The teardown record (native/lib/teardown.h): what `delete` needs to bury the container without Node and without the bundle. */
export function teardownRecord(placement: Placement, mountPoint: string | undefined, poststop: readonly Op[]): string {
  const memory = placeOf(placement, "memory");
  const lines = [
    "vigil-teardown 1",
    ...placement.places.map(({ version, directory }) => `cgroup ${version} ${directory}`),
    ...(memory ? [`memory ${memory.version} ${memory.directory}/${counters[memory.version]} oom_kill 0`] : []),
    ...(mountPoint === undefined ? [] : [`mount ${mountPoint}`]),
    ...poststop.map(({ payload }) => `hook ${Buffer.from(payload).toString("hex")}`),
  ];
  const broken = lines.find((line) => line.includes("\n"));
  if (broken !== undefined) {
    throw new VigilError("invalid_argument", `${JSON.stringify(broken)}: a path with a newline in it`);
  }
  const record = `${lines.join("\n")}\n`;
  if (record.length > longest) {
    throw new VigilError(
      "resource_exhausted",
      `hooks.poststop: ${record.length} bytes are too many to be kept for delete`,
    );
  }
  return record;
}
