import { beforeEach, describe, expect, test } from "vitest";
import { kill, pause, update } from "../../../src/task/control.js";
import type { Exit } from "../../../src/task/exit-waiters.js";
import { addExec, deleteExec, startExec, startInit } from "../../../src/task/life.js";
import type { CreateSpec } from "../../../src/task/ports.js";
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
