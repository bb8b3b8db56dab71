import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import type { CgroupHost, Hierarchy } from "./detect.js";
import { readKernelFile } from "./files.js";
import type { Place, Placement } from "./placement.js";

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    // Not there, or not for this user.
    return false;
  }
}

/** The path of this process below a hierarchy's root, proc_pid_cgroup(5) in cgroups(7); the root where it is not told. */
function ownPath({ version, options }: Pick<Hierarchy, "version" | "options">): string {
  for (const line of (readKernelFile("/proc/self/cgroup") ?? "").split("\n")) {
    const [, , words, path = ""] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (words === (version === 2 ? "" : options)) return path === "/" ? "" : path;
  }
  return "";
}

/** Up from where it shall be: the first directory that is there. */
function existing(directory: string, mountPoint: string): string {
  let at = directory;
  while (at !== mountPoint && !may(at, constants.F_OK)) at = dirname(at);
  return at;
}

// cgroup-v2.rst, "Delegation Containment": who moves a process must be able to write cgroup.procs of the common ancestor, too.
function mayMove({ version, mountPoint, directory, options }: Place): boolean {
  if (version === 1) return true;
  const own = mountPoint + ownPath({ version, options });
  let common = dirname(directory);
  while (common !== mountPoint && !`${own}/`.startsWith(`${common}/`)) common = dirname(common);
  return may(`${common}/cgroup.procs`, constants.W_OK);
}

/** Without the cgroups that this user may not make, or not put a process into. */
export function permittedPlaces(placement: Placement): Placement {
  const places = placement.places.filter(
    (place) => may(existing(place.directory, place.mountPoint), constants.W_OK | constants.X_OK) && mayMove(place),
  );
  return { ...placement, places };
}

/** Where a user's containers go on cgroup v2 unless told otherwise: beside his own processes, in what systemd delegates to him. */
export function besideOwn({ hierarchies }: CgroupHost, name: string): string | undefined {
  const unified = hierarchies.find(({ version }) => version === 2);
  if (!unified) return undefined;
  return `${dirname(ownPath(unified) || "/").replace(/\/$/, "")}/${name}`;
}

/** What a container sees of the hierarchies in which it has no cgroup of its own: the caller's, which it stays in. */
export function withOwnPlaces(placement: Placement, { mode, hierarchies }: CgroupHost): Placement {
  const places = hierarchies.flatMap((hierarchy): Place[] => {
    const made = placement.places.find(({ mountPoint }) => mountPoint === hierarchy.mountPoint);
    if (made) return [made];
    // The unified tree is part of a hybrid host's containers only where something of it is wanted.
    if (mode === "hybrid" && hierarchy.version === 2) return [];
    const { version, mountPoint, controllers, options } = hierarchy;
    // A hierarchy may be mounted from below its root on.
    const directory = existing(mountPoint + ownPath(hierarchy), mountPoint);
    return [{ version, mountPoint, controllers, options, directory }];
  });
  return { ...placement, places };
}

/** Whether this user may turn controllers on for the children of a cgroup. */
export const mayDelegate = (directory: string): boolean => may(`${directory}/cgroup.subtree_control`, constants.W_OK);
