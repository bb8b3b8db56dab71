import {
  type OomReport,
  OomReport_Cause,
  OomReport_Certainty,
  OomReport_Scope,
  type Victim,
} from "../gen/vigil/v1/vigil.js";
import { plain } from "./output.js";
import { formatBytes } from "./quantities.js";
import { clockTime } from "./times.js";

/** An OOM report in plain words: a label and what is to be said under it. */
export type Explanation = readonly (readonly [label: string, words: string])[];

/** Below this not even the setting-up of a container fits: each process costs page tables, a stack, its libraries. */
const tinyLimit = 4n << 20n;

const whatWasKilled = {
  [OomReport_Scope.INIT]: "the container's init, so the container ended",
  [OomReport_Scope.CHILD]: "a child process; the container's init lived on",
  [OomReport_Scope.EXEC]: "a process started by exec",
  [OomReport_Scope.SCOPE_UNKNOWN]: "what it was to the container is not known",
} as const satisfies Record<OomReport_Scope, string>;

const howSure = {
  [OomReport_Certainty.CERTAIN]: "certain",
  [OomReport_Certainty.INFERRED]: "inferred, not read from the container's own counters",
  [OomReport_Certainty.CERTAINTY_UNKNOWN]: "unknown: nothing could be read that tells",
} as const satisfies Record<OomReport_Certainty, string>;

export function describeVictim(victim: Victim): string {
  const name = plain(victim.name) || "a process";
  return victim.pid === 0 ? name : `${name} (pid ${victim.pid})`;
}

function victimLine(victim: Victim): string {
  const kinds: [string, bigint][] = [
    ["anonymous", victim.anonRss],
    ["of files", victim.fileRss],
    ["shared", victim.shmemRss],
  ];
  const held = kinds.filter(([, bytes]) => bytes > 0n).map(([kind, bytes]) => `${formatBytes(bytes)} ${kind}`);
  const memory = held.length > 0 ? `, holding ${held.join(", ")}` : "";
  const score = victim.oomScoreAdj === 0 ? "" : `, oom_score_adj ${victim.oomScoreAdj}`;
  return `${describeVictim(victim)}${memory}, uid ${victim.uid}${score}`;
}

function killed(report: OomReport): string {
  const scope = report.scope === OomReport_Scope.EXEC ? `exec ${plain(report.execId)}` : whatWasKilled[report.scope];
  const count = report.kills > 1n ? `${report.kills} kills in one go. ` : "";
  const [first, ...others] = report.victims;
  if (!first) return `${count}The kernel's log did not name the process: ${scope}`;
  return `${count}${[`${victimLine(first)}: ${scope}`, ...others.map(victimLine)].join("; then ")}`;
}

export function describeCause(report: OomReport): string {
  const limit = report.limitBytes > 0n ? ` of ${formatBytes(report.limitBytes)}` : "";
  switch (report.cause) {
    case OomReport_Cause.OWN_LIMIT:
      return `the container's own limit${limit}`;
    case OomReport_Cause.ANCESTOR_LIMIT:
      return `the limit${limit} of ${plain(report.limitCgroup) || "a cgroup"} above the container`;
    case OomReport_Cause.HOST:
      return "nobody's limit: the machine itself had no memory left";
    case OomReport_Cause.USERSPACE:
      return "a program outside the kernel, such as systemd-oomd, which chose to kill";
    case OomReport_Cause.CAUSE_UNKNOWN:
      return "not known";
  }
}

function use(report: OomReport): string {
  const parts = [
    ...(report.usageBytes > 0n ? [`${formatBytes(report.usageBytes)} just before`] : []),
    ...(report.peakBytes > 0n ? [`${formatBytes(report.peakBytes)} at its highest`] : []),
    ...(report.limitBytes > 0n ? [`${formatBytes(report.limitBytes)} allowed`] : []),
  ];
  return parts.join(", ");
}

// memory.stat by the names of cgroup v2 and of v1's whole-subtree counters, largest kinds a person can act on.
const statWords: readonly (readonly [string, string])[] = [
  ["anon", "heap and stacks"],
  ["file", "page cache"],
  ["shmem", "tmpfs and shared memory"],
  ["kernel", "kernel"],
  ["total_rss", "heap and stacks"],
  ["total_cache", "page cache"],
  ["total_shmem", "tmpfs and shared memory"],
];

function memory(report: OomReport): string {
  return statWords
    .flatMap(([key, words]) => {
      const bytes = report.memoryStat[key] ?? 0n;
      return bytes > 0n ? [`${words} ${formatBytes(bytes)}`] : [];
    })
    .join(", ");
}

function counters(report: OomReport): string {
  const names = [...new Set([...Object.keys(report.countersAfter), ...Object.keys(report.countersBefore)])].sort();
  return names
    .map((name) => [name, report.countersBefore[name] ?? 0n, report.countersAfter[name] ?? 0n] as const)
    .filter(([name, before, after]) => before !== after || name === "oom_kill")
    .map(([name, before, after]) => `${name} ${before} → ${after}`)
    .join(", ");
}

function shared(report: OomReport): bigint {
  return report.memoryStat.shmem ?? report.memoryStat.total_shmem ?? 0n;
}

export function nextStep(report: OomReport): string {
  switch (report.cause) {
    case OomReport_Cause.OWN_LIMIT:
      if (report.limitBytes > 0n && report.limitBytes < tinyLimit) {
        return "this limit is too small for any container to start in: allow 8 MiB or more";
      }
      if (shared(report) * 2n > report.usageBytes && report.usageBytes > 0n) {
        return "most of it is files on tmpfs or shared memory (/dev/shm, /run, /tmp): write them to disk, or allow more";
      }
      return report.limitBytes > 0n
        ? `allow more than ${formatBytes(report.limitBytes)} (vigil run --memory), or let the program use less`
        : "allow more memory, or let the program use less";
    case OomReport_Cause.ANCESTOR_LIMIT:
      return "raise that limit, or give less to the others below it; the container's own limit did not matter";
    case OomReport_Cause.HOST:
      return "limit what else runs on this machine, or add memory or swap";
    case OomReport_Cause.USERSPACE:
      return "ask that program why: journalctl -u systemd-oomd, -u earlyoom";
    case OomReport_Cause.CAUSE_UNKNOWN:
      return "`vigil doctor` says what this host lacks for a better answer; `dmesg` may still show the kill";
  }
}

/** What a person needs at once: process, limit, next step. */
export function explainBriefly(report: OomReport): Explanation {
  return said([
    ["killed", killed(report)],
    ["limit", describeCause(report)],
    ["memory", use(report)],
    ["next", nextStep(report)],
  ]);
}

export function explainFully(report: OomReport): Explanation {
  const levels = report.levels.map(
    ({ cgroup, limitBytes, usageBytes }) =>
      `${plain(cgroup)}: ${limitBytes > 0n ? `limit ${formatBytes(limitBytes)}` : "no limit"}, use ${formatBytes(usageBytes)}`,
  );
  return said([
    ["when", clockTime(report.detectedAt)],
    ["container", `${plain(report.namespace)}/${plain(report.containerId)}`],
    ["in short", plain(report.summary)],
    ["killed", killed(report)],
    ["limit", describeCause(report)],
    ["memory", use(report)],
    ["made of", memory(report)],
    ["counters", counters(report)],
    ...levels.map((level, depth) => [depth === 0 ? "levels" : "", level] as const),
    ["certainty", howSure[report.certainty]],
    ...report.evidence.map((line, index) => [index === 0 ? "evidence" : "", plain(line)] as const),
    ["next", nextStep(report)],
    ["report", `${plain(report.id)}, announced as event ${report.sequence}`],
  ]);
}

function said(lines: Explanation): Explanation {
  return lines.filter(([, words]) => words !== "");
}

export function formatExplanation(lines: Explanation): string {
  const width = Math.max(...lines.map(([label]) => label.length));
  return lines.map(([label, words]) => `  ${label.padEnd(width)}  ${words}`).join("\n");
}
