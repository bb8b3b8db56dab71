import type { OomFact } from "./facts.js";
import { type KillLine, type KillSummary, parseGroupKill, parseKill, parseSummary } from "./kmsg.js";
import { type OomLevel, type OomLevels, readLevels, rise } from "./oom-levels.js";

export type OomCause = "unknown" | "own" | "ancestor" | "host";
export type OomScope = "unknown" | "init" | "child" | "exec";
export type OomCertainty = "unknown" | "inferred" | "certain";

export interface OomVerdict {
  readonly certainty: OomCertainty;
  readonly cause: OomCause;
  readonly scope: OomScope;
  /** Empty unless `scope` is exec. */
  readonly execId: string;
  readonly victims: readonly KillLine[];
  /** The cgroup whose limit was reached; empty when it was none or is not known. */
  readonly limitCgroup: string;
  /** The cgroup was killed as a whole (memory.oom.group): the counter counts its first victim twice. */
  readonly group: boolean;
  /** What the conclusion rests on, strongest first, a sentence each. */
  readonly evidence: readonly string[];
  readonly levels: OomLevels;
}

/** A conclusion and the sentence that supports it. */
interface Finding {
  readonly cause: OomCause;
  readonly limitCgroup: string;
  readonly because: string;
}

/** Everything that is concluded from an OOM fact, from its raw counters and lines alone. */
export function oomVerdict(fact: OomFact): OomVerdict {
  const levels = readLevels(fact);
  const own = levels.levels[0];
  const summaries = fact.lines.flatMap((line) => parseSummary(line) ?? []);
  const victims = victimsOf(fact, own, summaries);
  const finding = causeOf(levels, fact, summaries, victims);
  const counted = rise(own?.events, "oom_kill");
  const named = victims.find((victim) => knownPid(fact, victim.pid));
  const evidence = [
    counted !== undefined && counted > 0n && `The container's own counter oom_kill rose by ${counted}.`,
    named && `The kernel's log names process ${named.pid}, which is known to be the container's.`,
    finding.because,
    victims.length > 0 && !named && `The kernel's log names ${victims.length} killed in this container's cgroup.`,
    own?.events?.after === undefined && "The container's cgroup was gone before its counters could be read again.",
  ].filter((sentence): sentence is string => typeof sentence === "string" && sentence !== "");
  return {
    certainty: (counted !== undefined && counted > 0n) || named ? "certain" : "inferred",
    cause: finding.cause,
    limitCgroup: finding.limitCgroup,
    ...scopeOf(fact, victims),
    victims,
    group: groupKilled(fact, own),
    evidence,
    levels,
  };
}

function knownPid(fact: OomFact, pid: number): boolean {
  return pid === fact.initPid || fact.execs.some((exec) => exec.pid === pid);
}

/** A path of the kernel's log names our cgroup, also when we see the hierarchy from within a cgroup namespace. */
function samePath(logged: string, ours: string): boolean {
  return logged === ours || (ours.length > 1 && logged.endsWith(ours));
}

function within(logged: string, ours: string): boolean {
  const below = logged.indexOf(`${ours}/`);
  return samePath(logged, ours) || below === 0 || (ours.length > 1 && below > 0);
}

/**
 * Who of the killed was ours: a pid that is known, a summary that names our cgroup, and of the rest as many as the counter still
 * lacks, but only if there are no more than that: the log is of the whole machine.
 */
function victimsOf(fact: OomFact, own: OomLevel | undefined, summaries: readonly KillSummary[]): KillLine[] {
  const kills = new Map(fact.lines.flatMap((line) => parseKill(line) ?? []).map((kill) => [kill.pid, kill]));
  const summaryOf = new Map(summaries.map((summary) => [summary.pid, summary]));
  const sure = new Set<number>();
  const open = new Set<number>();
  for (const { pid } of kills.values()) {
    const summary = summaryOf.get(pid);
    if (knownPid(fact, pid) || (summary && own && within(summary.taskCgroup, own.cgroup))) sure.add(pid);
    else if (!summary) open.add(pid);
  }
  const lacking = fact.kills - BigInt(sure.size);
  const taken = BigInt(open.size) <= lacking ? open : new Set<number>();
  return [...kills.values()].filter(({ pid }) => sure.has(pid) || taken.has(pid));
}

function causeOf(
  { version, levels }: OomLevels,
  fact: OomFact,
  summaries: readonly KillSummary[],
  victims: readonly KillLine[],
): Finding {
  const pids = new Set(victims.map((victim) => victim.pid));
  const summary = summaries.find(({ pid }) => pids.has(pid));
  return (
    (version === 2 ? byLocalCounters(levels) : undefined) ??
    (summary ? bySummary(levels, summary) : undefined) ??
    (version === 1 ? byUsage(levels) : undefined) ??
    byHost(version, levels, fact, victims)
  );
}

/** v2 counts `oom` where the limit was, `oom_kill` where the victim lived (mm/memcontrol.c). */
function byLocalCounters(levels: readonly OomLevel[]): Finding | undefined {
  const [own, ...above] = levels;
  if (!own) return undefined;
  const ownLocal = rise(own.local, "oom");
  if (ownLocal !== undefined && ownLocal > 0n) {
    return {
      cause: "own",
      limitCgroup: own.cgroup,
      because: `Its own limit was reached: local oom rose by ${ownLocal}.`,
    };
  }
  const below = rise(own.events, "oom");
  if (below !== undefined && below > 0n) {
    return { cause: "own", limitCgroup: "", because: "A cgroup inside the container reached its limit." };
  }
  for (const level of above) {
    const local = rise(level.local, "oom");
    if (local !== undefined && local > 0n) {
      const others = (rise(level.events, "oom_kill") ?? 0n) > (rise(own.events, "oom_kill") ?? 0n);
      const shared = others ? " (others below it were killed, too)" : "";
      const because = `The limit of ${level.cgroup} above it was reached: its local oom rose by ${local}${shared}.`;
      return { cause: "ancestor", limitCgroup: level.cgroup, because };
    }
  }
  return undefined;
}

function bySummary(levels: readonly OomLevel[], summary: KillSummary): Finding | undefined {
  const { limitCgroup } = summary;
  if (limitCgroup === undefined) {
    return { cause: "host", limitCgroup: "", because: `The kernel's log says global_oom for process ${summary.pid}.` };
  }
  const because = `The kernel's log names ${limitCgroup} as out of memory for process ${summary.pid}.`;
  const [own, ...above] = levels;
  if (own && within(limitCgroup, own.cgroup)) return { cause: "own", limitCgroup, because };
  const level = above.find((one) => samePath(limitCgroup, one.cgroup));
  return level && { cause: "ancestor", limitCgroup: level.cgroup, because };
}

/** v1 does not count whose limit it was; a use that has been at the limit is the next best thing. */
function byUsage(levels: readonly OomLevel[]): Finding | undefined {
  const reached = levels.findIndex(
    ({ limit, usage, peak }) => limit > 0n && (peak * 100n >= limit * 99n || usage * 100n >= limit * 99n),
  );
  const level = levels[reached];
  if (!level) return undefined;
  const because = `The use of ${level.cgroup} has been at its limit of ${level.limit} bytes.`;
  return { cause: reached === 0 ? "own" : "ancestor", limitCgroup: level.cgroup, because };
}

/** What no cgroup can have caused was the machine; otherwise nobody knows. */
function byHost(version: 1 | 2, levels: readonly OomLevel[], fact: OomFact, victims: readonly KillLine[]): Finding {
  if (victims.length > 0 && victims.every((victim) => victim.host)) {
    return { cause: "host", limitCgroup: "", because: "The kernel's log says that the machine was out of memory." };
  }
  const allRead = version === 2 && fact.held.length > 0 && levels.every((level) => rise(level.local, "oom") === 0n);
  if (allRead) {
    const because = "No limit of the container or above it was reached, so the machine itself was out of memory.";
    return { cause: "host", limitCgroup: "", because };
  }
  return { cause: "unknown", limitCgroup: "", because: "Nothing that could be read tells whose limit was reached." };
}

function scopeOf(fact: OomFact, victims: readonly KillLine[]): { readonly scope: OomScope; readonly execId: string } {
  const pids = new Set(victims.map((victim) => victim.pid));
  if (pids.has(fact.initPid)) return { scope: "init", execId: "" };
  const exec = fact.execs.find((one) => pids.has(one.pid));
  if (exec) return { scope: "exec", execId: exec.exec };
  return { scope: pids.size > 0 ? "child" : "unknown", execId: "" };
}

function groupKilled(fact: OomFact, own: OomLevel | undefined): boolean {
  if ((rise(own?.events, "oom_group_kill") ?? 0n) > 0n) return true;
  return fact.lines.some((line) => {
    const path = parseGroupKill(line);
    return path !== undefined && own !== undefined && samePath(path, own.cgroup);
  });
}
