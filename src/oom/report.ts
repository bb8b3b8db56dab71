import {
  OomReport_Cause as Cause,
  OomReport_Certainty as Certainty,
  type LimitLevel,
  type OomReport,
  OomReport_Scope as Scope,
  type Victim,
} from "../gen/vigil/v1/vigil.js";
import type { ExitedFact, OomFact } from "../task/facts.js";
import type { KillLine } from "../task/kmsg.js";
import type { CounterPair, OomLevel } from "../task/oom-levels.js";
import { type OomVerdict, oomVerdict } from "../task/oom-verdict.js";
import type { OomContext } from "../task/ports.js";
import { summarise } from "./summary.js";

export const schemaVersion = 1;

const secondNs = 1_000_000_000n;
/** A change of limits so shortly before a kill is worth a word. */
const recentChangeNs = 5n * secondNs;
/** A death by SIGKILL so soon after a kill nobody could name is taken for its victim: a victim may take seconds to die. */
const attributionNs = 2n * secondNs;
const sigkill = 9;

const causes = {
  unknown: Cause.CAUSE_UNKNOWN,
  own: Cause.OWN_LIMIT,
  ancestor: Cause.ANCESTOR_LIMIT,
  host: Cause.HOST,
} as const;
const scopes = { unknown: Scope.SCOPE_UNKNOWN, init: Scope.INIT, child: Scope.CHILD, exec: Scope.EXEC } as const;
const certainties = {
  unknown: Certainty.CERTAINTY_UNKNOWN,
  inferred: Certainty.INFERRED,
  certain: Certainty.CERTAIN,
} as const;

type Counters = ReadonlyMap<string, bigint> | undefined;
const record = (counters: Counters): { [key: string]: bigint } => Object.fromEntries(counters ?? []);

const countersOf = (pair: CounterPair | undefined) => ({
  countersBefore: record(pair?.before),
  countersAfter: record(pair?.after),
});

const levelMessage = ({ cgroup, limit, usage, events, local }: OomLevel): LimitLevel => ({
  cgroup,
  limitBytes: limit,
  usageBytes: usage,
  // An ancestor's own pressure shows in its local counters; all that is below it would drown it.
  ...countersOf(local ?? events),
});

const victimMessage = ({ host: _, ...victim }: KillLine): Victim => victim;

/** The report about one OOM fact: what is concluded, what it rests on, and both in plain words. */
export function buildReport(
  fact: OomFact,
  context: OomContext,
  about: { readonly id: string; readonly namespace: string },
): OomReport {
  const verdict = oomVerdict(fact);
  const { levels } = verdict.levels;
  const own = levels[0];
  const limit = levels.find((level) => level.cgroup === verdict.limitCgroup);
  const report: OomReport = {
    schemaVersion,
    id: about.id,
    containerId: fact.container,
    execId: verdict.execId,
    namespace: about.namespace,
    sequence: 0n,
    detectedAt: { seconds: fact.at / secondNs, nanos: Number(fact.at % secondNs) },
    certainty: certainties[verdict.certainty],
    cause: causes[verdict.cause],
    scope: scopes[verdict.scope],
    victims: verdict.victims.map(victimMessage),
    kills: fact.kills,
    limitCgroup: verdict.limitCgroup,
    limitBytes: limit?.limit ?? 0n,
    usageBytes: limit?.usage ?? 0n,
    peakBytes: own?.peak ?? 0n,
    levels: levels.map(levelMessage),
    ...countersOf(own?.events),
    memoryStat: record(verdict.levels.memoryStat),
    evidence: [...verdict.evidence, ...remarks(fact, context, verdict)],
    summary: "",
    cgroup: own?.cgroup ?? "",
    cgroupVersion: verdict.levels.version,
  };
  return { ...report, summary: summarise(report) };
}

function remarks(fact: OomFact, context: OomContext, verdict: OomVerdict): string[] {
  const found: string[] = [];
  if (verdict.group) found.push("The cgroup is killed as a whole (memory.oom.group).");
  if (!context.announced) found.push("It happened while the container was being created.");
  const sinceChange = fact.at - context.limitsChangedAt;
  if (context.limitsChangedAt > 0n && sinceChange >= 0n && sinceChange < recentChangeNs) {
    found.push(`The limits were changed by an Update request ${sinceChange / 1_000_000n} ms before.`);
  }
  const { memoryStat, own } = verdict.levels;
  const shmem = memoryStat.get("shmem") ?? 0n;
  const usage = verdict.levels.levels[0]?.usage ?? 0n;
  if (usage > 0n && shmem * 2n > usage) found.push("More than half of its memory is shared memory or tmpfs files.");
  if (own("memory.swap.max")?.trim() === "0") found.push("It may not use swap.");
  return found;
}

/** The report with the process that died of it, where the kernel's log did not tell; undefined: nothing new. */
export function attributeExit(report: OomReport, exit: ExitedFact, asked: boolean): OomReport | undefined {
  if (report.scope !== Scope.SCOPE_UNKNOWN) return undefined;
  const detected = (report.detectedAt?.seconds ?? 0n) * secondNs + BigInt(report.detectedAt?.nanos ?? 0);
  const after = exit.at - detected;
  const soon = (after < 0n ? -after : after) < attributionNs;
  if (exit.signal === sigkill && soon) {
    if (asked) return undefined;
    const who = exit.exec === "" ? "The container's init" : `The exec ${exit.exec}`;
    const evidence = [
      ...report.evidence,
      `${who} (process ${exit.pid}) died by SIGKILL ${after / 1_000_000n} ms later.`,
    ];
    const scope = exit.exec === "" ? Scope.INIT : Scope.EXEC;
    return completed({ ...report, scope, execId: exit.exec, evidence });
  }
  // The init outlived it or ended in another way, so it was somebody else.
  if (exit.exec === "") return completed({ ...report, scope: Scope.CHILD });
  return undefined;
}

function completed(report: OomReport): OomReport {
  return { ...report, summary: summarise(report) };
}
