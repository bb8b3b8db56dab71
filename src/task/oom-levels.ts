import { parseCounters } from "./counters.js";
import type { OomFact } from "./facts.js";

type Counters = ReadonlyMap<string, bigint>;

/** Counters of one file; `after` is undefined when it could no longer be read. */
export interface CounterPair {
  readonly before: Counters;
  readonly after: Counters | undefined;
}

/** One cgroup on the way from the container to the root. */
export interface OomLevel {
  /** Below the root of the hierarchy, as the kernel's log has it. */
  readonly cgroup: string;
  /** memory.events or memory.oom_control. */
  readonly events: CounterPair | undefined;
  /** memory.events.local: without what happened below. */
  readonly local: CounterPair | undefined;
  /** 0n: no limit. */
  readonly limit: bigint;
  readonly usage: bigint;
  /** Highest use ever; 0n where the kernel does not tell. */
  readonly peak: bigint;
}

export interface OomLevels {
  readonly version: 1 | 2;
  /** The container's own first. */
  readonly levels: readonly OomLevel[];
  readonly memoryStat: Counters;
  /** Files of the container's own cgroup by name. */
  own(file: string): string | undefined;
}

const dirname = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("/"), 0));

/** v1 has no word for "no limit", but the largest page count (memcontrol: PAGE_COUNTER_MAX). */
const unlimitedV1 = 1n << 62n;

function bytes(text: string | undefined): bigint {
  const digits = text?.trim() ?? "";
  if (!/^\d+$/.test(digits)) return 0n;
  const value = BigInt(digits);
  return value >= unlimitedV1 ? 0n : value;
}

const names = {
  1: { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", peak: "memory.max_usage_in_bytes" },
  2: { limit: "memory.max", usage: "memory.current", peak: "memory.peak" },
} as const;

/** What the fact's raw files say about each cgroup. */
export function readLevels(fact: OomFact): OomLevels {
  const ownPath = fact.held[0]?.path ?? "";
  const version = ownPath.endsWith("memory.oom_control") ? 1 : 2;
  const directories = [...new Set(fact.held.map((file) => dirname(file.path)))];
  // The topmost held cgroup is the one below the hierarchy's root.
  const root = dirname(directories.at(-1) ?? "");
  const snapshot = new Map(fact.snapshot.map((file): [string, string] => [file.path, file.text]));
  const pair = (path: string): CounterPair | undefined => {
    const file = fact.held.find((held) => held.path === path);
    if (!file) return undefined;
    return { before: parseCounters(file.before), after: file.after === "" ? undefined : parseCounters(file.after) };
  };
  const { limit, usage, peak } = names[version];
  const levels = directories.map(
    (directory): OomLevel => ({
      cgroup: directory.slice(root.length),
      events: pair(`${directory}/${version === 1 ? "memory.oom_control" : "memory.events"}`),
      local: pair(`${directory}/memory.events.local`),
      limit: bytes(snapshot.get(`${directory}/${limit}`)),
      usage: bytes(snapshot.get(`${directory}/${usage}`)),
      peak: bytes(snapshot.get(`${directory}/${peak}`)),
    }),
  );
  const ownDirectory = dirname(ownPath);
  const own = (file: string): string | undefined => snapshot.get(`${ownDirectory}/${file}`);
  return { version, levels, memoryStat: parseCounters(own("memory.stat") ?? ""), own };
}

/** How much a counter rose; undefined when it could not be read on both sides. */
export function rise(pair: CounterPair | undefined, key: string): bigint | undefined {
  const before = pair?.before.get(key);
  const after = pair?.after?.get(key);
  return before === undefined || after === undefined ? undefined : after - before;
}
