import type { ControllerView } from "./controllers/controller.js";
import { childrenOf, readKernelFile } from "./files.js";
import { ancestors } from "./path.js";
import type { Place, Placement } from "./placement.js";

const siblingsLookedAt = 16;

/**
 * Whether the kernel offers a file, before the container's cgroup is there to look into. v1 shows all files at the root. The
 * v2 root lacks most, so any cgroup that has the controller on answers; without one the answer is the default given.
 */
function offered(place: Place, path: string, file: string): boolean {
  if (readKernelFile(`${place.directory}/cgroup.procs`) !== undefined) {
    return readKernelFile(`${place.directory}/${file}`) !== undefined;
  }
  if (place.version === 1) return readKernelFile(`${place.mountPoint}/${file}`) !== undefined;
  const children = childrenOf(place.mountPoint).slice(0, siblingsLookedAt);
  const directories = [...ancestors(place.mountPoint, path), ...children.map((name) => `${place.mountPoint}/${name}`)];
  return directories.some((directory) => readKernelFile(`${directory}/${file}`) !== undefined);
}

/** What a controller sees of the cgroup in one place; with no place, of a cgroup without any limits yet. */
export function viewOf(
  placement: Placement,
  place: Place | undefined,
  path: string,
  warn: (message: string) => void,
): ControllerView {
  return {
    version: place?.version ?? (placement.mode === "v2" ? 2 : 1),
    path,
    read: (file) => (place ? readKernelFile(`${place.directory}/${file}`) : undefined),
    has: (file) => (place ? offered(place, placement.path, file) : true),
    warn,
  };
}
