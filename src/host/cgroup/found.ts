import type { CgroupHost, Hierarchy } from "./detect.js";
import { type Placement, placementOf, processPlace } from "./placement.js";

interface Membership {
  /** "" on v2. */
  readonly controllers: string;
  readonly path: string;
}

// proc_pid_cgroup: "ID:CONTROLLERS:PATH"; the path may hold colons.
function parse(text: string): Membership[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    return match ? [{ controllers: match[1] ?? "", path: match[2] ?? "" }] : [];
  });
}

const sorted = (words: string): string => words.split(",").sort().join();

function pathIn(memberships: readonly Membership[], { version, options }: Hierarchy): string {
  const wanted = version === 2 ? "" : sorted(options);
  return memberships.find(({ controllers }) => sorted(controllers) === wanted)?.path ?? "/";
}

/**
 * The cgroups that somebody else has made for a container, by its init's /proc/PID/cgroup. What is in them is killed with the
 * container, so those do not count which `own` (our /proc/self/cgroup) shows to be ours or to hold ours, nor the root.
 */
export function placementFound(host: CgroupHost, init: string, own: string): Placement {
  const [theirs, ours] = [parse(init), parse(own)];
  const placed = host.hierarchies.filter((hierarchy) => {
    const path = pathIn(theirs, hierarchy);
    return path !== "/" && !`${pathIn(ours, hierarchy)}/`.startsWith(`${path}/`);
  });
  const main = processPlace(placementOf({ mode: host.mode, hierarchies: placed }, ""));
  const hierarchy = placed.find(({ mountPoint }) => mountPoint === main?.mountPoint);
  if (!hierarchy) return placementOf({ mode: host.mode, hierarchies: [] }, "");
  const path = pathIn(theirs, hierarchy);
  return placementOf({ mode: host.mode, hierarchies: placed.filter((each) => pathIn(theirs, each) === path) }, path);
}
