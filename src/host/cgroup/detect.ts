import { VigilError } from "../../base/errors.js";
import { readKernelFile } from "./files.js";

/** One mounted tree of cgroups. */
export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /** Kernel names; a named v1 hierarchy without controllers has none. On v2 those that the root offers. */
  readonly controllers: readonly string[];
  /** v1: what mount(2) wants as data to show this hierarchy again ("cpu,cpuacct", "name=systemd"). */
  readonly options: string;
}

export interface CgroupHost {
  readonly mode: "v1" | "hybrid" | "v2";
  /** Those that containers get a cgroup in. */
  readonly hierarchies: readonly Hierarchy[];
}

interface Mount {
  readonly mountPoint: string;
  readonly type: string;
  readonly superOptions: readonly string[];
}

// proc_pid_mountinfo(5): blanks, tabs, newlines and backslashes in fields are octal escapes.
function unescapeField(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

function parseMountinfo(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const [left, right] = line.split(" - ");
    const mountPoint = left?.split(" ")[4];
    const [type, , superOptions] = right?.split(" ") ?? [];
    if (mountPoint === undefined || type === undefined) continue;
    mounts.push({ mountPoint: unescapeField(mountPoint), type, superOptions: superOptions?.split(",") ?? [] });
  }
  return mounts;
}

// Flags of the mount itself, found among a v1 hierarchy's options beside its controllers.
const mountWords: ReadonlySet<string> = new Set(["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode"]);

function version1({ mountPoint, superOptions }: Mount): Hierarchy {
  const words = superOptions.filter((word) => !mountWords.has(word) && !word.startsWith("release_agent="));
  const controllers = words.filter((word) => !word.startsWith("name="));
  return { version: 1, mountPoint, controllers, options: words.join(",") };
}

function version2({ mountPoint }: Mount, read: Read): Hierarchy {
  const offered = read(`${mountPoint}/cgroup.controllers`) ?? "";
  return { version: 2, mountPoint, controllers: offered.split(/\s+/).filter((name) => name !== ""), options: "" };
}

type Read = (path: string) => string | undefined;

/** For who can do without: none where none is mounted. */
export function detectCgroupsIfAny(): CgroupHost {
  const mounted = parseMountinfo(readKernelFile("/proc/self/mountinfo") ?? "").some(({ type }) =>
    /^cgroup2?$/.test(type),
  );
  return mounted ? detectCgroups() : { mode: "v2", hierarchies: [] };
}

/**
 * The host's cgroup trees. A tree that is mounted twice counts once, where it was mounted first: later ones are views for
 * something else. On a hybrid host the unified tree takes part only if it was given controllers.
 */
export function detectCgroups(read: Read = readKernelFile): CgroupHost {
  const mounts = parseMountinfo(read("/proc/self/mountinfo") ?? "");
  const seen = new Set<string>();
  const legacy = mounts
    .filter((mount) => mount.type === "cgroup")
    .map(version1)
    .filter(({ options }) => !seen.has(options) && seen.add(options));
  const unifiedMount = mounts.find((mount) => mount.type === "cgroup2");
  const unified = unifiedMount && version2(unifiedMount, read);
  if (legacy.length === 0) {
    if (!unified) throw new VigilError("failed_precondition", "no cgroup file system is mounted");
    return { mode: "v2", hierarchies: [unified] };
  }
  if (!unified) return { mode: "v1", hierarchies: legacy };
  const useful = unified.controllers.length > 0;
  return { mode: "hybrid", hierarchies: useful ? [...legacy, unified] : legacy };
}

export function isMountPoint(path: string, read: Read = readKernelFile): boolean {
  return parseMountinfo(read("/proc/self/mountinfo") ?? "").some(({ mountPoint }) => mountPoint === path);
}
