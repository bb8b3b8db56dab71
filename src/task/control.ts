import { VigilError } from "../base/errors.js";
import type { Call } from "./call.js";
import { carryOut } from "./carry-out.js";
import type { Container } from "./container.js";
import type { World } from "./life.js";
import type { CheckpointSpec } from "./ports.js";
import { permit } from "./state.js";

const sigkill = 9;

/** Kill does not queue behind other requests: it is what ends one that hangs. */
export function kill(
  world: World,
  container: Container,
  target: { readonly execId: string; readonly signal: number; readonly all: boolean },
  call: Call<undefined>,
): Promise<Uint8Array> {
  const process = container.process(target.execId);
  const allowed = (): void => {
    const exec = target.execId !== "";
    if (exec && process.status === "created") throw new VigilError("failed_precondition", "process not created");
    if (process.exit || (!exec && container.leaving)) throw new VigilError("not_found", "process already finished");
  };
  return carryOut(world.changes, call, allowed, async (conclude) => {
    const key = `${call.key}/signal`;
    if (target.signal === sigkill) process.killed = true;
    if (target.all && target.execId === "") await world.runtime.signalAll(key, container.ref, target.signal);
    else await world.runtime.signal(key, container.ref, target.execId, target.signal);
    return conclude({ result: undefined });
  });
}

export function pause(world: World, container: Container, call: Call<undefined>): Promise<Uint8Array> {
  const { init } = container;
  const allowed = (): void => permit("pause", container.leaving ? "stopped" : init.status);
  return init.mailbox.run(() =>
    carryOut(world.changes, call, allowed, async (conclude) => {
      // A replay finds what the facts have made of it meanwhile.
      if (init.status === "running") init.step("pause");
      try {
        await world.runtime.pause(`${call.key}/freeze`, container.ref);
      } catch (error) {
        if (init.status === "pausing") init.step("unpaused");
        throw error;
      }
      if (container.leaving || init.status !== "pausing")
        throw new VigilError("unknown", "cannot pause a stopped container");
      init.step("paused");
      const paused = container.announcement({ kind: "paused" }, world.clock.now());
      return conclude({ result: undefined, containers: [container], announcements: [paused] });
    }),
  );
}

export function resume(world: World, container: Container, call: Call<undefined>): Promise<Uint8Array> {
  const { init } = container;
  const allowed = (): void => permit("resume", container.leaving ? "stopped" : init.status);
  return init.mailbox.run(() =>
    carryOut(world.changes, call, allowed, async (conclude) => {
      await world.runtime.resume(`${call.key}/thaw`, container.ref);
      if (container.leaving || init.status !== "paused")
        throw new VigilError("unknown", "cannot resume a stopped container");
      init.step("resume");
      const resumed = container.announcement({ kind: "resumed" }, world.clock.now());
      return conclude({ result: undefined, containers: [container], announcements: [resumed] });
    }),
  );
}

/** `resources`: OCI linux.resources as JSON text. */
export function update(
  world: World,
  container: Container,
  resources: string,
  call: Call<undefined>,
): Promise<Uint8Array> {
  const { init } = container;
  const allowed = (): void => permit("update", container.leaving ? "stopped" : init.status);
  return init.mailbox.run(() =>
    carryOut(world.changes, call, allowed, async (conclude) => {
      // Before the call: lowering a limit below the use kills from within the write (memory.max, cgroup-v2.rst).
      container.limitsChangedAt = world.clock.now();
      await world.runtime.update(`${call.key}/update`, container.ref, resources);
      return conclude({ result: undefined, containers: [container] });
    }),
  );
}

/** An init that ends with it is the exit fact's matter. */
export function checkpoint(
  world: World,
  container: Container,
  spec: CheckpointSpec,
  call: Call<undefined>,
): Promise<Uint8Array> {
  const { init } = container;
  const allowed = (): void => permit("checkpoint", container.leaving ? "stopped" : init.status);
  return init.mailbox.run(() =>
    carryOut(world.changes, call, allowed, async (conclude) => {
      await world.runtime.checkpoint(`${call.key}/checkpoint`, container.ref, spec);
      const event = { kind: "checkpointed", checkpoint: spec.imageDirectory } as const;
      return conclude({ result: undefined, announcements: [container.announcement(event, world.clock.now())] });
    }),
  );
}

export function resize(
  world: World,
  container: Container,
  target: { readonly execId: string; readonly columns: number; readonly rows: number },
  call: Call<undefined>,
): Promise<Uint8Array> {
  const { execId, columns, rows } = target;
  const process = container.process(execId);
  const allowed = (): void => permit("resize", process.status, execId === "" ? "init" : "exec");
  return carryOut(world.changes, call, allowed, async (conclude) => {
    // An exec has no terminal before its start.
    if (execId === "" || process.status !== "created") {
      await world.runtime.resize(`${call.key}/resize`, container.ref, execId, columns, rows);
    }
    return conclude({ result: undefined });
  });
}

export function closeStdin(
  world: World,
  container: Container,
  execId: string,
  call: Call<undefined>,
): Promise<Uint8Array> {
  const process = container.process(execId);
  return carryOut(
    world.changes,
    call,
    () => undefined,
    async (conclude) => {
      if (execId === "" || process.status !== "created") {
        await world.runtime.closeStdin(`${call.key}/stdin`, container.ref, execId);
      }
      return conclude({ result: undefined });
    },
  );
}
