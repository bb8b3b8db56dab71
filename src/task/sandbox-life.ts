import { VigilError } from "../base/errors.js";
import type { Call } from "./call.js";
import { carryOut } from "./carry-out.js";
import type { Container } from "./container.js";
import type { World } from "./life.js";
import type { SandboxSpec } from "./ports.js";
import type { Registry } from "./registry.js";
import { Sandbox } from "./sandbox.js";
import { permitInSandbox } from "./sandbox-state.js";

const sigterm = 15;
const sigkill = 9;

/** The end of a pod that was asked for is no failure. */
const stoppedStatus = 0;

export function createSandbox(
  registry: Registry,
  read: () => Promise<SandboxSpec>,
  call: Call<undefined>,
): Promise<Uint8Array> {
  const { changes, clock, sandboxRuntime } = registry.world;
  const allowed = (): void => {
    const { sandbox } = registry;
    if (sandbox) throw new VigilError("already_exists", `sandbox ${sandbox.spec.id} already exists in this shim`);
  };
  return registry.sandboxRequests.run(() =>
    carryOut(changes, call, allowed, async (conclude) => {
      const spec = await read();
      await sandboxRuntime.enter(`${call.key}/enter`, spec);
      const sandbox = new Sandbox({ spec, createdAt: clock.now() });
      registry.sandbox = sandbox;
      return conclude({ result: undefined, sandbox });
    }),
  );
}

export function startSandbox(registry: Registry, id: string, call: Call<Sandbox>): Promise<Uint8Array> {
  return registry.sandboxRequests.run(() => {
    const sandbox = registry.getSandbox(id);
    const allowed = (): void => permitInSandbox("start", sandbox.status);
    return carryOut(registry.world.changes, call, allowed, (conclude) => {
      sandbox.step("start");
      return conclude({ result: sandbox, sandbox });
    });
  });
}

/** Ends all containers: politely first if there is a time for that. A sandbox that has stopped is what was wanted. */
export function stopSandbox(
  registry: Registry,
  id: string,
  graceMs: number,
  call: Call<undefined>,
): Promise<Uint8Array> {
  const { world } = registry;
  return registry.sandboxRequests.run(() => {
    const sandbox = registry.getSandbox(id);
    return carryOut(
      world.changes,
      call,
      () => undefined,
      async (conclude) => {
        if (sandbox.exit) return conclude({ result: undefined });
        if (sandbox.status !== "stopping") sandbox.step("stop");
        const alive = [...registry.containers].filter(({ init }) => init.exit === undefined);
        if (graceMs > 0) await endPolitely(world, alive, graceMs, call.key);
        await Promise.all(alive.map((container) => endNow(world, container, call.key)));
        sandbox.step("stopped");
        const exit = { status: stoppedStatus, at: world.clock.now() };
        sandbox.exit = exit;
        const reply = await conclude({ result: undefined, sandbox });
        sandbox.release(exit);
        return reply;
      },
    );
  });
}

/** The sandbox is over with its shim, so not before its last container is gone. */
export function shutdownSandbox(registry: Registry, id: string, call: Call<undefined>): Promise<Uint8Array> {
  const { world } = registry;
  return registry.sandboxRequests.run(() => {
    const sandbox = registry.getSandbox(id);
    const allowed = (): void => {
      if (registry.occupied) throw new VigilError("failed_precondition", `sandbox ${id} has containers`);
    };
    return carryOut(world.changes, call, allowed, async (conclude) => {
      registry.sandbox = undefined;
      const reply = await conclude({ result: undefined, sandbox: null });
      if (!sandbox.exit) sandbox.release({ status: stoppedStatus, at: world.clock.now() });
      return reply;
    });
  });
}

function ended({ init }: Container): Promise<void> {
  return new Promise((resolve) => {
    init.wait({ exited: () => resolve(), gone: () => resolve() });
  });
}

async function unlessFinished(signalled: Promise<void>): Promise<void> {
  try {
    await signalled;
  } catch (error) {
    if (VigilError.from(error).code !== "not_found") throw error;
  }
}

async function endPolitely(
  { clock, runtime }: World,
  containers: readonly Container[],
  graceMs: number,
  key: string,
): Promise<void> {
  await Promise.all(
    containers.map(({ id, ref }) => unlessFinished(runtime.signal(`${key}/terminate/${id}`, ref, "", sigterm))),
  );
  let cancel = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    cancel = clock.after(graceMs, resolve);
  });
  await Promise.race([Promise.all(containers.map(ended)), over]);
  cancel();
}

async function endNow({ runtime }: World, container: Container, key: string): Promise<void> {
  if (container.init.exit) return;
  container.init.killed = true;
  await runtime.signalAll(`${key}/kill/${container.id}`, container.ref, sigkill);
  await ended(container);
}
