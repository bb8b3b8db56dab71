import type { Birth } from "../core/birth.js";
import { ancestors } from "./path.js";
import { type Placement, placeOf } from "./placement.js";

const ownV2 = [
  "memory.max",
  "memory.current",
  "memory.peak",
  "memory.swap.current",
  "memory.swap.max",
  "memory.stat",
  "memory.pressure",
  "memory.oom.group",
];

const ownV1 = [
  "memory.limit_in_bytes",
  "memory.usage_in_bytes",
  "memory.max_usage_in_bytes",
  "memory.failcnt",
  "memory.stat",
  "memory.memsw.limit_in_bytes",
  "memory.memsw.usage_in_bytes",
  "memory.memsw.max_usage_in_bytes",
];

/** The counters' files, which tell whose limit it was, and what is read at the moment of a kill. */
const files = {
  1: { counters: ["memory.oom_control"], own: ownV1, ancestor: ["memory.limit_in_bytes", "memory.usage_in_bytes"] },
  2: {
    counters: ["memory.events", "memory.events.local"],
    own: ownV2,
    ancestor: ["memory.max", "memory.current"],
  },
} as const;

/** What the core holds open and reads about a container's memory; nothing without a memory controller. */
export function watchOf(placement: Placement): Birth["watch"] {
  const place = placeOf(placement, "memory");
  if (!place) return { version: 0, cgroup: "", held: [], snapshot: [] };
  const { counters, own, ancestor } = files[place.version];
  const above = ancestors(place.mountPoint, placement.path).reverse();
  const all = (directories: readonly string[], names: readonly string[]): string[] =>
    directories.flatMap((directory) => names.map((name) => `${directory}/${name}`));
  return {
    version: place.version,
    cgroup: place.directory,
    held: all([place.directory, ...above], counters),
    snapshot: [...all([place.directory], own), ...all(above, ancestor)],
  };
}
