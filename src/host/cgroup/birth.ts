import { VigilError } from "../../base/errors.js";
import type { Birth } from "../core/birth.js";
import {
  cgroupDevices,
  cgroupEmpty,
  cgroupInherit,
  cgroupMkdir,
  type Op,
  optional,
  withHint,
  write,
} from "../core/ops.js";
import type { Resources } from "../oci/resources.js";
import { cpusetFile } from "./controllers/cpuset.js";
import { compileDeviceProgram } from "./controllers/device-program.js";
import { deviceAccess, deviceWrites } from "./controllers/devices.js";
import { delegateControllers } from "./delegate.js";
import { readKernelFile } from "./files.js";
import { type Place, type Placement, placeOf } from "./placement.js";
import { type PlannedWrite, type ResourceContext, resourceWrites } from "./resources.js";
import { viewOf } from "./view.js";
import { watchOf } from "./watch.js";

/** What has to happen to cgroups before a container's first process is in them. */
export interface CgroupBirth {
  readonly script: Op[];
  /** As it will be: without controllers that an ancestor cannot give. */
  readonly placement: Placement;
  readonly watch: Birth["watch"];
  readonly cgroup: Birth["cgroup"];
}

export function writeOp({ path, value, optional: mayFail, hint }: PlannedWrite): Op {
  const op = hint === undefined ? write(path, value) : withHint(write(path, value), hint);
  return mayFail ? optional(op) : op;
}

function refuseFrozen({ directory, version, controllers }: Place): void {
  const frozen =
    version === 2
      ? readKernelFile(`${directory}/cgroup.freeze`)?.trim() === "1"
      : controllers.includes("freezer") && readKernelFile(`${directory}/freezer.state`)?.trim() !== "THAWED";
  if (frozen && readKernelFile(`${directory}/cgroup.procs`) !== undefined) {
    throw new VigilError("failed_precondition", `container's cgroup is frozen: ${directory}`);
  }
}

function makeDirectory(place: Place, placement: Placement, context: ResourceContext): Op[] {
  const { mountPoint, directory, controllers } = place;
  refuseFrozen(place);
  const ops = [cgroupMkdir(mountPoint, directory)];
  if (place.version === 1 && controllers.includes("cpuset")) {
    // A v1 cpuset is born empty and takes no process until both are set (cgroup-v1/cpusets.rst).
    const view = viewOf(placement, place, context.path, context.warn);
    for (const name of ["cpus", "mems"] as const) {
      ops.push(cgroupInherit(mountPoint, directory, cpusetFile(name, view)));
    }
  }
  return [...ops, withHint(cgroupEmpty(directory), "container's cgroup is not empty")];
}

function deviceOps(placement: Placement, { devices }: Resources, context: ResourceContext): Op[] {
  // Rules take privileges on the host (cgroup-v1/devices.rst, bpf(2)). Nodes that nobody may make without them are none to be kept from.
  if (context.unprivileged) return [];
  if (placement.mode === "v2") {
    const program = compileDeviceProgram(deviceAccess(devices, context.path));
    return program ? placement.places.map(({ directory }) => cgroupDevices(directory, program)) : [];
  }
  const place = placeOf(placement, "devices");
  if (!place) {
    throw new VigilError("failed_precondition", `${context.path}.devices: the devices cgroup hierarchy is not mounted`);
  }
  return deviceWrites(devices, context.path).map((each) =>
    writeOp({ ...each, path: `${place.directory}/${each.file}`, controller: "devices" }),
  );
}

function delegated(placement: Placement, needed: ReadonlySet<string>): { ops: Op[]; placement: Placement } {
  const ops: Op[] = [];
  const places = placement.places.map((place) => {
    if (place.version === 1) return place;
    const delegation = delegateControllers(place, placement.path, needed);
    ops.push(...delegation.ops);
    return { ...place, controllers: delegation.controllers };
  });
  return { ops, placement: { ...placement, places } };
}

// Beside v1 the unified tree has what no v1 hierarchy took, mostly nothing that a container wants.
function neededPlaces(all: Placement, writes: readonly PlannedWrite[]): Placement {
  const needed = ({ version, directory, controllers }: Place): boolean =>
    version === 1 || controllers.includes("memory") || writes.some(({ path }) => path.startsWith(`${directory}/`));
  return all.mode === "hybrid" ? { ...all, places: all.places.filter(needed) } : all;
}

/** Without a cgroup of its own a process is born in its maker's. */
export function bornIn({ mode }: Placement, directories: readonly string[]): Birth["cgroup"] {
  return { version: directories.length === 0 ? 0 : mode === "v2" ? 2 : 1, directories };
}

export function planCgroupBirth(wanted: Placement, resources: Resources, context: ResourceContext): CgroupBirth {
  const writes = resourceWrites(wanted, resources, context);
  const controllers = new Set(writes.map(({ controller }) => controller));
  const { ops, placement } = delegated(neededPlaces(wanted, writes), controllers);
  return {
    script: [
      ...placement.places.flatMap((place) => makeDirectory(place, placement, context)),
      ...ops,
      ...writes.map(writeOp),
      ...deviceOps(placement, resources, context),
    ],
    placement,
    watch: watchOf(placement),
    cgroup: bornIn(
      placement,
      placement.places.map(({ directory }) => directory),
    ),
  };
}
