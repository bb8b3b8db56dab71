import type { Log } from "../base/log.js";
import type { Changes } from "./changes.js";
import type { Container } from "./container.js";
import type { Exit } from "./exit-waiters.js";
import type { ExitedFact, Fact, OomFact, StartedFact } from "./facts.js";
import type { OomReports, Runtime } from "./ports.js";
import type { ExecProcess } from "./process.js";

export interface FactWorld {
  readonly runtime: Runtime;
  readonly reports: OomReports;
  readonly changes: Changes;
  readonly log: Log;
}

const sigkill = 9;

/** What a wait for a process ends with that could not be started (containerd's UnknownExitStatus). */
const neverRan: Exit = { status: 255, at: 0n };

/** Applies a fact to its container, at once and in order of arrival: the model is never behind what the core knows. */
export function applyFact(world: FactWorld, container: Container, fact: Fact): void {
  const { changes } = world;
  // The core tells a fact again until it is covered: the init's exit until it is announced, and so all that came after it.
  if (fact.seq <= container.lastFact) {
    if (container.leaving?.fact !== fact.seq) changes.cover(fact.seq);
    return;
  }
  container.lastFact = fact.seq;
  changes.changed(container);
  if (fact.kind !== "exited" || fact.exec !== "") changes.cover(fact.seq);
  switch (fact.kind) {
    case "created":
      // The birth that a restore is; another one is over before there is a container.
      container.init.pid = fact.pid;
      break;
    case "started":
      if (fact.exec === "") initStarted(world, container, fact);
      else execStarted(world, container, fact);
      break;
    case "oom":
      oomKilled(world, container, fact);
      break;
    case "exited":
      world.reports.attribute(fact, container.execs.get(fact.exec)?.killed ?? container.init.killed);
      if (fact.exec === "") initExited(world, container, fact);
      else execExited(world, container, fact);
      break;
  }
}

function initStarted({ changes }: FactWorld, container: Container, fact: StartedFact): void {
  container.init.step("start");
  container.startedAt = fact.at;
  changes.announce(container.announcement({ kind: "start", pid: container.init.pid }, fact.at, fact.seq));
}

function execStarted({ changes, log }: FactWorld, container: Container, fact: StartedFact): void {
  const exec = container.execs.get(fact.exec);
  if (!exec) {
    log.warning("an unknown exec was started", { container: container.id, exec: fact.exec });
    return;
  }
  exec.step("start");
  exec.pid = fact.pid;
  const event = { kind: "exec-started", execId: fact.exec, pid: fact.pid } as const;
  changes.announce(container.announcement(event, fact.at, fact.seq));
}

function oomKilled({ changes, reports }: FactWorld, container: Container, fact: OomFact): void {
  container.oomKills = fact.total;
  reports.record(fact, { limitsChangedAt: container.limitsChangedAt, announced: true });
  changes.announce(container.announcement({ kind: "oom" }, fact.at, fact.seq));
}

function execExited(world: FactWorld, container: Container, fact: ExitedFact): void {
  const exec = container.execs.get(fact.exec);
  if (!exec) {
    world.log.warning("an unknown exec exited", { container: container.id, exec: fact.exec });
    return;
  }
  if (fact.started) {
    const exit = { status: fact.status, at: fact.at };
    exec.step("exit");
    exec.exit = exit;
    const event = { kind: "exit", id: fact.exec, pid: exec.pid, exitStatus: exit.status, exitedAt: exit.at } as const;
    world.changes.announce(container.announcement(event, fact.at, fact.seq));
    world.changes.after(() => exec.releaseExited(exit));
  } else {
    execFailed(world, container, exec);
  }
  announceLeaving(world, container);
}

/** A start that failed makes no exit; who waits for one learns that there is nothing to wait for. */
export function execFailed({ changes }: FactWorld, container: Container, exec: ExecProcess): void {
  exec.failed = true;
  changes.changed(container);
  changes.after(() => exec.releaseExited(neverRan));
}

function initExited(world: FactWorld, container: Container, fact: ExitedFact): void {
  // Of a restore that failed: the Start that asked for it says so, and another one may come.
  if (container.isCheckpoint) {
    world.changes.cover(fact.seq);
    return;
  }
  container.leaving = { fact: fact.seq, exit: { status: fact.status, at: fact.at }, clearing: false };
  clearBehind(world, container);
  announceLeaving(world, container);
}

/**
 * Without a pid namespace of its own a container's processes outlive its init (runc's ShouldKillAllOnExit); frozen ones live
 * until they are thawed (freezer-subsystem.rst).
 */
export function clearBehind(world: FactWorld, container: Container): void {
  const { leaving } = container;
  if (!leaving || world.changes.restoring) return;
  const frozen = container.init.status === "paused" || container.init.status === "pausing";
  if (container.privatePids && !frozen) return;
  leaving.clearing = true;
  const key = world.changes.factKey(leaving.fact);
  const clear = async (): Promise<void> => {
    try {
      if (!container.privatePids) await world.runtime.signalAll(`${key}/killall`, container.ref, sigkill);
      if (frozen) await world.runtime.resume(`${key}/thaw`, container.ref);
    } catch (error) {
      // Delete kills whatever is left; the exit must not wait for it.
      world.log.warning("not all that the init left behind was killed", { container: container.id, error });
    }
    leaving.clearing = false;
    announceLeaving(world, container);
    world.changes.flush(key);
  };
  void clear();
}

/**
 * The init's exit comes last: after the exit of every exec that was started, and not before what it left behind is gone. The
 * one place of that rule; called whenever one of its conditions may have become true.
 */
export function announceLeaving(
  { changes }: FactWorld,
  container: Container,
  options?: { readonly force: boolean },
): void {
  const { leaving, init } = container;
  if (!leaving || changes.restoring) return;
  const alive = [...container.execs.values()].some((exec) => exec.starting || exec.status === "running");
  if (!options?.force && (leaving.clearing || alive)) return;
  container.leaving = undefined;
  init.step("exit");
  init.exit = leaving.exit;
  const event = {
    kind: "exit",
    id: container.id,
    pid: init.pid,
    exitStatus: leaving.exit.status,
    exitedAt: leaving.exit.at,
  } as const;
  changes.announce(container.announcement(event, leaving.exit.at, leaving.fact));
  changes.cover(leaving.fact);
  changes.changed(container);
  changes.after(() => init.releaseExited(leaving.exit));
}
