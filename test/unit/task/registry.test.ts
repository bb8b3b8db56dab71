import { beforeEach, describe, expect, test } from "vitest";
import { checkpoint, kill, pause, update } from "../../../src/task/control.js";
import type { Exit } from "../../../src/task/exit-waiters.js";
import { addExec, deleteExec, startExec, startInit } from "../../../src/task/life.js";
import type { CheckpointSpec, CreateSpec } from "../../../src/task/ports.js";
import { SimCore, type SimRequest } from "../../support/sim-core.js";

const stdio = { stdin: "", stdout: "", stderr: "", terminal: false };
let core: SimCore;

beforeEach(() => {
  core = new SimCore();
  core.start();
});

async function ask(name: string, dispatch: SimRequest["dispatch"]): Promise<string | undefined> {
  const request = core.request(name, dispatch);
  await core.settle();
  return request.answers[0];
}

const spec = (id: string): CreateSpec => ({
  id,
  bundle: "/b",
  rootfs: [],
  stdio,
  options: {} as CreateSpec["options"],
  checkpoint: "",
});
const create = (id = "c1") => ask("create", (registry, call) => registry.create(id, async () => spec(id), call));
const start = () => ask("start", (registry, call) => startInit(registry.world, registry.get("c1"), call));
const remove = () => ask("delete", (registry, call) => registry.delete(registry.get("c1"), call));
const exec = (execId = "e1", process = "{}") =>
  ask("exec", (registry, call) => addExec(registry.world, registry.get("c1"), { execId, stdio, process }, call));
const runExec = (execId = "e1") =>
  ask("startExec", (registry, call) => startExec(registry.world, registry.get("c1"), execId, call));
const removeExec = (execId = "e1") =>
  ask("deleteExec", (registry, call) => deleteExec(registry.world, registry.get("c1"), execId, call));
const signal = (execId = "", number = 15) =>
  ask("kill", (registry, call) =>
    kill(registry.world, registry.get("c1"), { execId, signal: number, all: false }, call),
  );
const kinds = () => core.published.map(({ event }) => event.kind);

function waitFor(execId = ""): { exit?: Exit; gone?: string } {
  const seen: { exit?: Exit; gone?: string } = {};
  core.registry
    .get("c1")
    .process(execId)
    .wait({
      exited: (exit) => {
        seen.exit = exit;
      },
      gone: ({ message }) => {
        seen.gone = message;
      },
    });
  return seen;
}

describe("a container", () => {
  test("lives, is waited for by many, and is forgotten", async () => {
    expect(await create()).toBe("ok 101");
    const [before, also] = [waitFor(), waitFor()];
    expect(await start()).toBe("ok 101");
    core.exit("c1", "", 3);
    await core.settle();
    expect([before, also, waitFor()].map(({ exit }) => exit?.status)).toEqual([3, 3, 3]);
    expect(await remove()).toContain('"status":3');
    expect(await remove()).toBe("not_found container not created");
    expect(core.registry.empty).toBe(true);
    expect(core.states.size).toBe(0);
    expect(kinds()).toEqual(["create", "start", "exit", "delete"]);
  });

  test("with an id that is there, or on its way, is refused", async () => {
    const first = core.request("create", (registry, call) => registry.create("c1", async () => spec("c1"), call));
    const second = core.request("create", (registry, call) => registry.create("c1", async () => spec("c1"), call));
    await core.deliver(2);
    expect(core.registry.empty).toBe(false);
    await core.settle();
    expect(first.answers).toEqual(["ok 101"]);
    expect(second.answers).toEqual(["already_exists container c1 already exists"]);
  });

  test("killed for want of memory while it is created leaves a report, no event, and says why", async () => {
    core.failNextBirth = "oom";
    expect(await create()).toBe("unknown container init was OOM-killed (memory limit too low?): the child died");
    expect(core.reports.map(({ announced }) => announced)).toEqual([false]);
    expect(core.published).toEqual([]);
    expect(core.facts).toEqual([]);
    expect(core.registry.empty).toBe(true);
    expect(await create()).toBe("ok 102");
  });

  test("killed for want of memory before execve: Start says why", async () => {
    await create();
    core.oom("c1");
    core.exit("c1", "", 137);
    const why = "unknown container init was OOM-killed (memory limit too low?)";
    expect(await start()).toBe(`${why}: cannot start a stopped process`);
    expect(kinds()).toEqual(["create", "oom", "exit"]);
  });

  test("deleted before its start: what ran is told to have ended", async () => {
    await create();
    expect(await remove()).toContain("ok");
    expect(kinds()).toEqual(["create", "exit", "delete"]);
  });

  test("without private pids: what the init leaves behind is killed before its exit is told", async () => {
    core.privatePids = false;
    await create();
    await start();
    await exec();
    await runExec();
    core.exit("c1", "", 0);
    await core.settle();
    expect(core.published.slice(-2).map(({ event }) => event)).toMatchObject([
      { kind: "exit", id: "e1", exitStatus: 137 },
      { kind: "exit", id: "c1", exitStatus: 0 },
    ]);
  });

  test("that ends while it is paused ends like any other", async () => {
    await create();
    await start();
    expect(await ask("pause", (registry, call) => pause(registry.world, registry.get("c1"), call))).toBe(
      "ok undefined",
    );
    expect(core.registry.get("c1").statusOf(core.registry.get("c1").init)).toBe("paused");
    core.exit("c1", "", 137);
    await core.settle();
    expect(kinds()).toEqual(["create", "start", "paused", "exit"]);
    expect(await remove()).toContain("ok");
  });

  test("whose limits were changed knows when, also in the next daemon", async () => {
    await create();
    await ask("update", (registry, call) => update(registry.world, registry.get("c1"), "{}", call));
    core.crash();
    core.start();
    expect(core.registry.get("c1").limitsChangedAt).toBe(1000n);
  });
});

describe("an exec", () => {
  beforeEach(async () => {
    await create();
    await start();
  });

  test("lives, and its id can be used again", async () => {
    for (const round of [1, 2]) {
      expect(await exec()).toBe("ok undefined");
      expect(await exec()).toBe("already_exists id e1");
      expect(await signal("e1")).toBe("failed_precondition process not created");
      expect(await runExec()).toMatch(/^ok \d+$/);
      expect(await runExec()).toBe("unknown cannot start a running process");
      expect(await removeExec()).toBe("unknown cannot delete a running process");
      const waiting = waitFor("e1");
      expect(await signal("e1")).toBe("ok undefined");
      expect(waiting.exit?.status).toBe(143);
      expect(await signal("e1")).toBe("not_found process already finished");
      expect(await removeExec()).toContain('"status":143');
      expect(await removeExec(), `round ${round}`).toBe("not_found process does not exist e1");
    }
  });

  test("that cannot be started stays as it was, and waiting for it ends", async () => {
    await exec();
    const waiting = waitFor("e1");
    core.failNextBirth = "error";
    expect(await runExec()).toBe("unknown the child died");
    expect(waiting.exit).toEqual({ status: 255, at: 0n });
    expect(core.registry.get("c1").exec("e1").status).toBe("created");
    expect(kinds()).toEqual(["create", "start", "exec-added"]);
    expect(await removeExec()).toContain("ok");
  });

  test("is not started once the init is gone, and its container's Delete ends who waits for it", async () => {
    await exec();
    const waiting = waitFor("e1");
    core.exit("c1", "", 0);
    await core.settle();
    expect(await runExec()).toBe("failed_precondition container c1 init process is not running");
    expect(await exec("e2")).toBe("unknown cannot exec in a stopped state");
    expect(waiting).toEqual({});
    await remove();
    expect(waiting.gone).toBe("container not created");
  });

  test("keeps its specification only until it was started; too many that wait are refused", async () => {
    const large = "x".repeat(3 << 20);
    await exec("e1", large);
    await exec("e2", large);
    expect(await exec("e3", large)).toContain("resource_exhausted");
    await runExec("e1");
    expect(await exec("e3", large)).toBe("ok undefined");
  });

  test("with the container's own id is refused: their exits could not be told apart", async () => {
    expect(await exec("c1")).toBe("already_exists id c1");
  });
});

describe("a checkpoint", () => {
  const taken: CheckpointSpec = {
    imageDirectory: "/i",
    workDirectory: "",
    exit: false,
    openTcp: false,
    externalUnixSockets: false,
    terminal: false,
    fileLocks: false,
    emptyNamespaces: [],
    cgroupsMode: "",
  };
  const take = (exit = false) =>
    ask("checkpoint", (registry, call) => checkpoint(registry.world, registry.get("c1"), { ...taken, exit }, call));
  const fromCheckpoint = () =>
    ask("create", (registry, call) => registry.create("c1", async () => ({ ...spec("c1"), checkpoint: "/i" }), call));

  test("is of a process that runs or is paused", async () => {
    await create();
    expect(await take()).toBe("unknown cannot checkpoint a task in created state");
    await start();
    expect(await take()).toBe("ok undefined");
    await ask("pause", (registry, call) => pause(registry.world, registry.get("c1"), call));
    expect(await take()).toBe("ok undefined");
    expect(kinds()).toEqual(["create", "start", "checkpointed", "paused", "checkpointed"]);
    expect(core.published.at(-1)).toMatchObject({ topic: "/tasks/checkpointed", event: { checkpoint: "/i" } });
    core.exit("c1", "", 0);
    await core.settle();
    expect(await take()).toBe("unknown cannot checkpoint a stopped container");
  });

  test("may be the end of the container", async () => {
    await create();
    await start();
    expect(await take(true)).toBe("ok undefined");
    await core.settle();
    expect(core.registry.get("c1")).toMatchObject({ init: { status: "stopped", exit: { status: 137 } } });
    expect(kinds().sort()).toEqual(["checkpointed", "create", "exit", "start"]);
  });

  test("makes a container without a process, which its start restores", async () => {
    expect(await fromCheckpoint()).toBe("ok 0");
    expect(core.published[0]).toMatchObject({ event: { kind: "create", checkpoint: "/i", pid: 0 } });
    expect(await exec()).toBe("unknown cannot exec in a created state");
    expect(await take()).toBe("unknown cannot checkpoint a task in created state");
    const answer = await start();
    const { init, handle } = core.registry.get("c1");
    expect(answer).toBe(`ok ${init.pid}`);
    expect(init).toMatchObject({ status: "running", pid: expect.any(Number) });
    expect(handle).toEqual({});
    expect(core.published[1]).toMatchObject({ event: { kind: "start", pid: init.pid } });
    expect(await exec()).toBe("ok undefined");
  });

  test("may be restored by the next daemon, and what is remembered of it is kept", async () => {
    await fromCheckpoint();
    const started = core.request("start", (registry, call) => startInit(registry.world, registry.get("c1"), call));
    await core.deliver(1);
    core.crash();
    core.start();
    await core.settle();
    const { pid } = core.registry.get("c1").init;
    expect(pid).toBeGreaterThan(0);
    expect(started.answers).toEqual([`ok ${pid}`]);
    core.crash();
    core.start();
    await core.settle();
    expect(core.registry.get("c1")).toMatchObject({ handle: {}, init: { pid, status: "running" } });
    expect(kinds()).toEqual(["create", "start"]);
  });

  test("that cannot be restored leaves a container to be deleted, or to be started again", async () => {
    await fromCheckpoint();
    core.failNextBirth = "error";
    expect(await start()).toBe("unknown the child died");
    expect(core.registry.get("c1").isCheckpoint).toBe(true);
    expect(await start()).toMatch(/^ok [1-9]/);
    await remove();
  });

  test("that nobody restores can be deleted", async () => {
    await fromCheckpoint();
    expect(await remove()).toMatch(/^ok /);
    expect(kinds()).toEqual(["create", "delete"]);
  });
});
