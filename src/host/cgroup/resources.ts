import { VigilError } from "../../base/errors.js";
import { refuse } from "../oci/check.js";
import type { Resources } from "../oci/resources.js";
import { blkio } from "./controllers/blkio.js";
import type { CgroupWrite, Controller } from "./controllers/controller.js";
import { cpu } from "./controllers/cpu.js";
import { cpuset } from "./controllers/cpuset.js";
import { hugetlb } from "./controllers/hugetlb.js";
import { memory } from "./controllers/memory.js";
import { netCls, netPrio } from "./controllers/network.js";
import { pids } from "./controllers/pids.js";
import { rdma } from "./controllers/rdma.js";
import { unifiedWrites } from "./controllers/unified.js";
import { type Placement, placeOf } from "./placement.js";
import { viewOf } from "./view.js";

/** A write to one file, by its absolute path. */
export interface PlannedWrite extends CgroupWrite {
  readonly path: string;
  readonly controller: string;
}

export interface ResourceContext {
  /** JSON path of the resources, for messages. */
  readonly path: string;
  readonly warn: (message: string) => void;
  /** The caller has not the rights of the machine's root: some cgroups he may not make. */
  readonly unprivileged?: boolean;
}

const controllers: readonly Controller[] = [pids, memory, blkio, cpu, cpuset, hugetlb, rdma, netCls, netPrio];

/** What the resources ask of the container's cgroups, in the order in which it must be written. Devices are apart. */
export function resourceWrites(placement: Placement, resources: Resources, context: ResourceContext): PlannedWrite[] {
  const planned = controllers.flatMap((controller) => writesOf(controller, placement, resources, context));
  return [...planned, ...unified(placement, resources, context)];
}

function writesOf(
  controller: Controller,
  placement: Placement,
  resources: Resources,
  { path, warn, unprivileged = false }: ResourceContext,
): PlannedWrite[] {
  const place = placeOf(placement, controller.name);
  const writes = controller.writes(resources, viewOf(placement, place, path, place ? warn : () => undefined));
  if (place) {
    return writes.map((write) => ({
      ...write,
      path: `${place.directory}/${write.file}`,
      controller: controllerName(controller.name, place.version),
    }));
  }
  // Silence about a limit that cannot be kept would be worse than no container.
  if (writes.length > 0) {
    const name = controllerName(controller.name, placement.mode === "v2" ? 2 : 1);
    const why = unprivileged
      ? `the container can have no cgroup with the ${name} controller that this user may write to`
      : `the ${name} cgroup controller is not available on this host`;
    throw new VigilError("failed_precondition", `${path}.${controller.member}: ${why}`);
  }
  return [];
}

function controllerName(name: string, version: 1 | 2): string {
  return version === 2 && name === "blkio" ? "io" : name;
}

function unified(placement: Placement, resources: Resources, { path }: ResourceContext): PlannedWrite[] {
  if (resources.unified.size === 0) return [];
  const place = placement.places.find(({ version }) => version === 2);
  if (!place) return refuse(`${path}.unified`, "this host has no cgroup v2 controllers");
  return unifiedWrites(resources, place.controllers, path).map((write) => ({
    ...write,
    path: `${place.directory}/${write.file}`,
    controller: write.file.split(".")[0] ?? "",
  }));
}
