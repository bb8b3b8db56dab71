import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { TaskExit } from "../../../src/gen/containerd/events/task.js";
import { ForwardRequest } from "../../../src/gen/containerd/services/events/ttrpc/v1/events.js";
import * as shim from "../../../src/gen/containerd/task/v3/shim.js";
import { Status } from "../../../src/gen/containerd/types/task/task.js";
import { bundleDaemon } from "../../support/daemon-bundle.js";
import { FakeCore } from "../../support/fake-core.js";

// The daemon as a program: started as the core starts it, over real descriptors; the core's side is played.

const bundle = bundleDaemon();
afterAll(() => bundle.remove());

let directory: string;
let core: FakeCore;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "vigil-daemon-"));
  mkdirSync(join(directory, "bundle/rootfs"), { recursive: true });
  const config = {
    ociVersion: "1.1.0",
    process: { args: ["true"], cwd: "/", user: { uid: 0, gid: 0 } },
    root: { path: "rootfs" },
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }], cgroupsPath: "/vigil-test/t1" },
  };
  writeFileSync(join(directory, "bundle/config.json"), JSON.stringify(config));
  core = new FakeCore({ boot: bundle.boot, stateDirectory: join(directory, "state") });
  await core.start();
});

afterEach(async () => {
  await core.crash();
  rmSync(directory, { recursive: true });
});

const create = (rest: Partial<shim.CreateTaskRequest> = {}) =>
  core.call(
    "Create",
    shim.CreateTaskRequest.encode(
      shim.CreateTaskRequest.fromPartial({ id: "t1", bundle: join(directory, "bundle"), ...rest }),
    ).finish(),
  );
const start = (execId = "") => core.call("Start", shim.StartRequest.encode({ id: "t1", execId }).finish());
const wait = (execId = "") => core.call("Wait", shim.WaitRequest.encode({ id: "t1", execId }).finish());
const kill = (signal: number) =>
  core.call("Kill", shim.KillRequest.encode({ id: "t1", execId: "", signal, all: false }).finish());
const remove = () => core.call("Delete", shim.DeleteRequest.encode({ id: "t1", execId: "" }).finish());
const state = async () =>
  shim.StateResponse.decode(
    (await core.call("State", shim.StateRequest.encode({ id: "t1", execId: "" }).finish())).payload,
  );
const topics = () => core.published.map(({ entry }) => ForwardRequest.decode(entry).envelope?.topic);

describe("the daemon", () => {
  test("serves the life of a container", async () => {
    const created = await create();
    expect(created).toMatchObject({ code: 0 });
    const { pid } = shim.CreateTaskResponse.decode(created.payload);
    expect(await state()).toMatchObject({ id: "t1", pid, status: Status.CREATED });
    const connected = await core.call("Connect", shim.ConnectRequest.encode({ id: "t1" }).finish());
    expect(shim.ConnectResponse.decode(connected.payload)).toMatchObject({ shimPid: process.pid, taskPid: pid });

    const waited = wait();
    expect(shim.StartResponse.decode((await start()).payload)).toEqual({ pid });
    expect(await state()).toMatchObject({ status: Status.RUNNING });
    expect(await remove()).toMatchObject({ code: 2, message: "cannot delete a running process" });
    expect(await kill(9)).toMatchObject({ code: 0 });
    expect(shim.WaitResponse.decode((await waited).payload)).toMatchObject({ exitStatus: 137 });
    expect(await kill(9)).toMatchObject({ code: 5, message: "process already finished: not found" });
    expect(shim.DeleteResponse.decode((await remove()).payload)).toMatchObject({ pid, exitStatus: 137 });
    expect(await start()).toMatchObject({ code: 5, message: "container not created: not found" });
    expect(topics()).toEqual(["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    expect(core.states.size).toBe(0);
    expect(core.facts).toEqual([]);
    // Without a containerd the core keeps events for readers, until the shim ends.
    expect(core.outbox).toHaveLength(4);

    const ended = once(core, "shutdown");
    await core.call("Shutdown", shim.ShutdownRequest.encode({ id: "t1", now: false }).finish());
    await ended;
    expect(core.outbox).toEqual([]);
    expect(await core.hangUp()).toBe(0);
  });

  test("goes on after a crash at any command", async () => {
    await create();
    const waiting = wait();
    await once(core, "parked");

    // Start: done by the core, but the daemon dies before it can commit.
    core.intercept = (type) => type === 71;
    const starting = start();
    const [, key] = (await once(core, "command")) as [string, string];
    await core.crash();
    core.intercept = undefined;
    const pid = core.processes.get("t1/")?.pid ?? 0;
    core.factStarted("t1", "", pid);
    core.result(key, 0);
    await core.start();
    expect(await starting).toMatchObject({ code: 0 });
    expect(core.commands.filter((command) => command.startsWith("start"))).toHaveLength(2);

    // The init dies while no daemon is there.
    await core.crash();
    core.factExited("t1", "", pid, 3);
    await core.start();
    expect(shim.WaitResponse.decode((await waiting).payload)).toMatchObject({ exitStatus: 3 });
    expect(topics()).toEqual(["/tasks/create", "/tasks/start", "/tasks/exit"]);
    expect(core.facts).toEqual([]);
  });

  test("a Create that a daemon began is finished by the next", async () => {
    core.intercept = (type) => type === 69;
    const creating = create();
    const [, key] = (await once(core, "command")) as [string, string];
    await core.crash();
    core.intercept = undefined;
    // Meanwhile the child was made, and has died already.
    core.factCreated("t1", 77);
    core.factExited("t1", "", 77, 137, { started: false });
    const pid = Buffer.alloc(4);
    pid.writeUInt32LE(77);
    core.result(key, 0, "", pid);
    await core.start();
    expect(shim.CreateTaskResponse.decode((await creating).payload)).toEqual({ pid: 77 });
    expect(await state()).toMatchObject({ status: Status.STOPPED, pid: 77, exitStatus: 137 });
    expect(topics()).toEqual(["/tasks/create", "/tasks/exit"]);
  });

  test("refuses what it does not know", async () => {
    expect(await core.call("Fly", new Uint8Array(0))).toMatchObject({
      code: 12,
      message: "method Fly: not implemented",
    });
    expect(await core.call("State", new Uint8Array(0), { service: "x.Y" })).toMatchObject({
      code: 12,
      message: "service x.Y: not implemented",
    });
    expect(await core.call("State", Buffer.from([0xff]))).toMatchObject({ code: 3 });
    expect(await start()).toMatchObject({ code: 5, message: "container not created: not found" });
    expect(await create({ id: "../x" })).toMatchObject({ code: 3 });
    expect(await create({ checkpoint: "/nosuch" })).toMatchObject({ code: 3 });
    expect(await create({ parentCheckpoint: "/c" })).toMatchObject({ code: 3 });
    expect(await create({ bundle: "/nowhere" })).toMatchObject({ code: 3 });
    expect(await create()).toMatchObject({ code: 0 });
    expect(await create()).toMatchObject({ code: 6 });
    expect(topics()).toEqual(["/tasks/create"]);
  });

  test("an expired request is refused and never executed", async () => {
    // The fake core says that it is a millisecond old.
    const id = shim.CreateTaskRequest.encode(
      shim.CreateTaskRequest.fromPartial({ id: "t1", bundle: join(directory, "bundle") }),
    );
    expect(await core.call("Create", id.finish(), { timeoutNs: 1_000n })).toMatchObject({ code: 4 });
    expect(core.commands).toEqual([]);
  });

  test("a connection that closes drops its Waits, and what begun goes on", async () => {
    await create();
    const waiting = core.call("Wait", shim.WaitRequest.encode({ id: "t1", execId: "" }).finish(), { connection: 2n });
    let answered = false;
    void waiting.then(() => {
      answered = true;
    });
    await once(core, "parked");
    core.close(2n);
    await start();
    await kill(9);
    await wait();
    expect(answered).toBe(false);
    expect(core.unanswered).toEqual([]);
  });

  test("a Wait whose deadline passes ends with that", async () => {
    await create();
    const request = shim.WaitRequest.encode({ id: "t1", execId: "" }).finish();
    expect(await core.call("Wait", request, { timeoutNs: 50_000_000n })).toMatchObject({ code: 4 });
  });

  test("tells of an OOM kill before the exit, and why a start failed", async () => {
    const created = shim.CreateTaskResponse.decode((await create()).payload);
    core.intercept = (type) => type === 71;
    const starting = start();
    const [, key] = (await once(core, "command")) as [string, string];
    core.factOom("t1", { initPid: created.pid });
    core.factExited("t1", "", created.pid, 137, { started: false });
    core.result(key, -32, "the process died");
    const answer = await starting;
    expect(answer.message).toContain("container init was OOM-killed (memory limit too low?)");
    expect(topics()).toEqual(["/tasks/create", "/tasks/oom", "/tasks/exit"]);
    const exit = core.published[2]?.entry ?? new Uint8Array(0);
    expect(TaskExit.decode(ForwardRequest.decode(exit).envelope?.event?.value ?? new Uint8Array(0))).toMatchObject({
      containerId: "t1",
      id: "t1",
      exitStatus: 137,
    });
  });

  test("ends when its core does", async () => {
    expect(await core.hangUp()).toBe(0);
  });
});
