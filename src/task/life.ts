import type { Clock } from "../base/clock.js";
import { VigilError } from "../base/errors.js";
import { announceLeaving, execFailed, type FactWorld } from "./apply.js";
import type { Call } from "./call.js";
import { carryOut } from "./carry-out.js";
import type { Container } from "./container.js";
import type { Exit } from "./exit-waiters.js";
import type { ExecSpec, SandboxRuntime } from "./ports.js";
import { ExecProcess, type TaskProcess } from "./process.js";
import { permit } from "./state.js";

export interface World extends FactWorld {
  readonly clock: Clock;
  readonly sandboxRuntime: SandboxRuntime;
}

export interface Deleted {
  readonly pid: number;
  readonly exit: Exit | undefined;
}

/** How long Delete waits for output to reach its reader (containerd's runc shim since 1.7.34, 2.0.11). */
const drainMs = 10_000;

/** Start of the init. TaskStart comes from the fact, not from here. */
export function startInit(world: World, container: Container, call: Call<number>): Promise<Uint8Array> {
  const { init } = container;
  const why = (error: unknown): unknown =>
    container.startedAt === 0n && container.oomKills > 0n ? oomKilled("container init", error) : error;
  const allowed = (): void => {
    try {
      permit("start", container.leaving ? "stopped" : init.status);
    } catch (error) {
      throw why(error);
    }
  };
  return init.mailbox.run(() =>
    carryOut(world.changes, call, allowed, async (conclude) => {
      const handle = await world.runtime.start(`${call.key}/start`, container.ref).catch((error: unknown) => {
        throw why(error);
      });
      if (handle) container.handle = handle;
      return conclude({ result: init.pid, containers: handle ? [container] : [] });
    }),
  );
}

/** runc's words for a process that its limit killed before execve; the runtime's own error follows. */
export function oomKilled(who: string, error: unknown): VigilError {
  const { code, message } = VigilError.from(error);
  return new VigilError(code, `${who} was OOM-killed (memory limit too low?): ${message}`, { cause: error });
}

function permitExec(container: Container, action: "exec" | "start"): void {
  const { status } = container.init;
  if (action === "start" && (container.leaving || status === "stopped")) {
    throw new VigilError("failed_precondition", `container ${container.id} init process is not running`);
  }
  if (container.isCheckpoint) throw new VigilError("unknown", "cannot exec in a created state");
  permit("exec", container.ending ? "deleted" : container.leaving ? "stopped" : status);
}

/** Bytes of process objects that wait for their Start: a container's whole state is one record (16 MiB, VG_RECORD_MAX). */
const waitingSpecsMax = 8 << 20;

function waitingSpecs(container: Container): number {
  return [...container.execs.values()].reduce((sum, exec) => sum + exec.spec.length, 0);
}

/** Exec only registers; the process is made by its Start. */
export function addExec(
  world: World,
  container: Container,
  spec: ExecSpec,
  call: Call<undefined>,
): Promise<Uint8Array> {
  const { execId, stdio } = spec;
  const allowed = (): void => {
    permitExec(container, "exec");
    if (container.execs.has(execId) || execId === container.id) throw new VigilError("already_exists", `id ${execId}`);
    if (waitingSpecs(container) + spec.process.length > waitingSpecsMax) {
      throw new VigilError("resource_exhausted", "too many processes are registered and not started");
    }
  };
  return carryOut(world.changes, call, allowed, (conclude) => {
    container.execs.set(execId, new ExecProcess({ execId, stdio, spec: spec.process }));
    const added = container.announcement({ kind: "exec-added", execId }, world.clock.now());
    return conclude({ result: undefined, containers: [container], announcements: [added] });
  });
}

export function startExec(world: World, container: Container, execId: string, call: Call<number>): Promise<Uint8Array> {
  const exec = container.exec(execId);
  const allowed = (): void => {
    permitExec(container, "start");
    permit("start", exec.status, "exec");
    if (exec.failed) throw new VigilError("failed_precondition", `process ${execId} could not be started before`);
  };
  return exec.mailbox.run(() =>
    carryOut(world.changes, call, allowed, async (conclude) => {
      const spec = { execId, stdio: exec.stdio, process: exec.spec };
      const killsBefore = container.oomKills;
      exec.starting = true;
      try {
        const pid = await world.runtime.exec(`${call.key}/exec`, container.ref, spec);
        exec.spec = "";
        return conclude({ result: pid, containers: [container] });
      } catch (error) {
        if (exec.status === "created") execFailed(world, container, exec);
        throw container.oomKills > killsBefore ? oomKilled(`process ${execId}`, error) : error;
      } finally {
        exec.starting = false;
        announceLeaving(world, container);
        world.changes.flush();
      }
    }),
  );
}

/** Delete of the container. `forget` takes it out of the registry, within the same turn as its commit. */
export function deleteInit(
  world: World,
  container: Container,
  call: Call<Deleted>,
  forget: () => void,
): Promise<Uint8Array> {
  const { init } = container;
  return init.mailbox.run(() =>
    carryOut(
      world.changes,
      call,
      () => permit("delete", init.status),
      async (conclude) => {
        container.ending = true;
        try {
          // Nothing was written before the start, and the end of a living init's output would never come.
          if (init.exit) await drain(world, container, init, call.key);
          await world.runtime.remove(`${call.key}/remove`, container.ref);
        } finally {
          container.ending = false;
        }
        announceLeaving(world, container, { force: true });
        world.changes.flush();
        init.step("delete");
        forget();
        const gone = new VigilError("not_found", "container not created");
        for (const process of [init, ...container.execs.values()]) process.releaseGone(gone);
        const { pid, exit } = init;
        const event = {
          kind: "delete",
          pid,
          exitStatus: exit?.status ?? 0,
          exitedAt: exit?.at ?? 0n,
        } as const;
        const deleted = container.announcement(event, world.clock.now());
        return conclude({ result: { pid, exit }, forgotten: [container.id], announcements: [deleted] });
      },
    ),
  );
}

export function deleteExec(
  world: World,
  container: Container,
  execId: string,
  call: Call<Deleted>,
): Promise<Uint8Array> {
  const exec = container.exec(execId);
  return exec.mailbox.run(() =>
    carryOut(
      world.changes,
      call,
      () => permit("delete", exec.status, "exec"),
      async (conclude) => {
        if (exec.exit) await drain(world, container, exec, call.key);
        await world.runtime.forgetExec(`${call.key}/forget`, container.ref, execId);
        if (exec.status !== "deleted") exec.step("delete");
        container.execs.delete(execId);
        exec.releaseGone(new VigilError("not_found", `process does not exist ${execId}`));
        return conclude({ result: { pid: exec.pid, exit: exec.exit }, containers: [container] });
      },
    ),
  );
}

async function drain(world: World, container: Container, process: TaskProcess, key: string): Promise<void> {
  try {
    await world.runtime.drain(`${key}/drain`, container.ref, process.execId, drainMs);
  } catch (error) {
    // A child in the background may hold the stream for ever: after the time is up, what is not read is lost (documented bound).
    world.log.warning("output was not drained", { container: container.id, exec: process.execId, error });
  }
}
