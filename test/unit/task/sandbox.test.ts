import { beforeEach, describe, expect, test } from "vitest";
import type { Exit } from "../../../src/task/exit-waiters.js";
import { startInit } from "../../../src/task/life.js";
import type { CreateSpec, SandboxSpec } from "../../../src/task/ports.js";
import { createSandbox, shutdownSandbox, startSandbox, stopSandbox } from "../../../src/task/sandbox-life.js";
import { ManualClock } from "../../support/manual-clock.js";
import { SimCore, type SimRequest } from "../../support/sim-core.js";

let core: SimCore;
let clock: ManualClock;

beforeEach(() => {
  clock = new ManualClock();
  core = new SimCore(clock);
  core.start();
});

async function ask(name: string, dispatch: SimRequest["dispatch"]): Promise<string | undefined> {
  const request = core.request(name, dispatch);
  await core.settle();
  return request.answers[0];
}

const spec: SandboxSpec = { id: "p", network: "/net", ownIpc: true, ownUts: true, hostname: "pod", cgroupParent: "" };
const containerSpec = (id: string): CreateSpec => ({
  id,
  bundle: "/b",
  rootfs: [],
  stdio: { stdin: "", stdout: "", stderr: "", terminal: false },
  options: {} as CreateSpec["options"],
  checkpoint: "",
});
const create = (id = "p") =>
  ask("create", (registry, call) => createSandbox(registry, async () => ({ ...spec, id }), call));
const start = () => ask("start", (registry, call) => startSandbox(registry, "p", { ...call, answer: () => ok }));
const ok = Buffer.from("ok");
const stopping = (graceMs = 0) => core.request("stop", (registry, call) => stopSandbox(registry, "p", graceMs, call));
const stop = async (graceMs = 0) => {
  const request = stopping(graceMs);
  await core.settle();
  return request.answers[0];
};
const shutdown = () => ask("shutdown", (registry, call) => shutdownSandbox(registry, "p", call));
const container = (id: string) =>
  ask("container", (registry, call) => registry.create(id, async () => containerSpec(id), call));
const run = async (id: string) => {
  await container(id);
  return ask("run", (registry, call) => startInit(registry.world, registry.get(id), call));
};
const exits = () =>
  core.published.flatMap(({ containerId, event }) =>
    event.kind === "exit" ? [`${containerId} ${event.exitStatus}`] : [],
  );

function waitFor(): { exit?: Exit } {
  const seen: { exit?: Exit } = {};
  core.registry.getSandbox("p").wait({
    exited: (exit) => {
      seen.exit = exit;
    },
    gone: ({ message }) => expect.fail(message),
  });
  return seen;
}

describe("a sandbox", () => {
  test("lives, is waited for, and keeps its shim until it is shut down", async () => {
    expect(await create()).toBe("ok undefined");
    expect(core.sandboxes).toEqual([spec]);
    const waiting = waitFor();
    expect(core.registry.getSandbox("p").status).toBe("created");
    expect(await start()).toBe("ok");
    expect(await run("a")).toBe("ok 101");
    expect(core.registry.empty).toBe(false);
    expect(waiting.exit).toBeUndefined();
    expect(await stop()).toBe("ok undefined");
    expect(exits()).toEqual(["a 137"]);
    expect(waiting.exit).toMatchObject({ status: 0 });
    expect(waitFor()).toEqual(waiting);
    expect(await stop()).toBe("ok undefined");
    expect(await shutdown()).toBe("failed_precondition sandbox p has containers");
    await ask("delete", (registry, call) => registry.delete(registry.get("a"), call));
    expect(core.registry.empty).toBe(false);
    expect(await shutdown()).toBe("ok undefined");
    expect(core.registry.empty).toBe(true);
    expect(core.states.size).toBe(0);
    expect(await shutdown()).toBe("not_found sandbox p");
  });

  test("is one in a shim", async () => {
    await create();
    expect(await create()).toBe("already_exists sandbox p already exists in this shim");
    expect(await create("q")).toBe("already_exists sandbox p already exists in this shim");
    expect(core.sandboxes).toHaveLength(1);
  });

  test("takes containers while it is ready, starts once", async () => {
    await create();
    expect(await container("a")).toMatch(/^failed_precondition .*not started/);
    await start();
    expect(await start()).toBe("failed_precondition cannot start a running sandbox");
    await stop();
    expect(await container("a")).toMatch(/^failed_precondition .*stopped sandbox/);
    expect(await start()).toBe("failed_precondition cannot start a stopped sandbox");
  });

  test("that is shut down without a stop has ended, too", async () => {
    await create();
    const waiting = waitFor();
    expect(await shutdown()).toBe("ok undefined");
    expect(waiting.exit).toMatchObject({ status: 0 });
  });

  test("ends containers that were created and not started", async () => {
    await create();
    await start();
    await container("a");
    expect(await stop()).toBe("ok undefined");
    expect(exits()).toEqual(["a 137"]);
  });

  test("lets its containers end by themselves, and kills those which do not", async () => {
    await create();
    await start();
    await run("polite");
    await run("deaf");
    core.deaf.add("deaf");
    const stopped = stopping(3_000);
    await core.settle();
    expect(exits()).toEqual(["polite 143"]);
    await clock.advance(2_999);
    await core.settle();
    expect(stopped.answers).toEqual([]);
    await clock.advance(1);
    await core.settle();
    expect(stopped.answers).toEqual(["ok undefined"]);
    expect(exits()).toEqual(["polite 143", "deaf 137"]);
  });
});

describe("the next daemon", () => {
  test("has the sandbox as it was", async () => {
    await create();
    await start();
    core.crash();
    core.start();
    expect(core.registry.getSandbox("p")).toMatchObject({ status: "ready", spec });
    await stop();
    core.crash();
    core.start();
    expect(waitFor().exit).toMatchObject({ status: 0 });
    expect(core.registry.getSandbox("p").status).toBe("stopped");
  });

  test.each([0, 1, 2, 3, 4, 5, 6])("goes on with a stop that was begun, %i messages later", async (messages) => {
    await create();
    await start();
    await run("a");
    await run("b");
    const stopped = stopping();
    await core.deliver(messages);
    core.crash();
    core.start();
    await core.settle();
    expect(stopped.answers).toEqual(["ok undefined"]);
    expect(exits().sort()).toEqual(["a 137", "b 137"]);
    expect(core.registry.getSandbox("p").status).toBe("stopped");
  });

  test.each([0, 1, 2, 3])("enters the namespaces once, %i messages into the creation", async (messages) => {
    const created = core.request("create", (registry, call) => createSandbox(registry, async () => spec, call));
    await core.deliver(messages);
    core.crash();
    core.start();
    await core.deliver(0);
    await core.settle();
    expect(created.answers).toEqual(["ok undefined"]);
    expect(core.sandboxes).toEqual([spec]);
  });
});
