import { execFileSync } from "node:child_process";
import { openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prepareBed } from "../support/bed.js";
import { DirectShim } from "../support/direct-shim.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const specType = "types.containerd.io/opencontainers/runtime-spec/1";
const any = (name: string, value: unknown) => ({
  typeUrl: `${specType}/${name}`,
  value: Buffer.from(JSON.stringify(value)),
});
const status = { created: 1, running: 2, paused: 4 };

describe("a client that learns everything through reflection", () => {
  let shim: DirectShim;
  beforeEach(() => {
    prepareBed();
    shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
  });
  afterEach(async () => {
    await shim.end();
  });

  test("drives a task through all 17 RPCs and sees TaskOOM before TaskExit", async () => {
    const bundle = shim.bundle("c1", { args: ["sh", "-c", "read line; tail /dev/zero"], memoryLimit: 20_000_000 });
    const started = shim.start(bundle);
    expect(started).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(started.stdout)).toEqual({ version: 3, protocol: "grpc", address: started.socket });
    using client = new ReflectingClient(started.socket);
    expect(await client.services()).toEqual(expect.arrayContaining([task, "grpc.health.v1.Health", "vigil.v1.Vigil"]));
    const call = (method: string, request: Fields) => client.call(task, method, request);

    const topics: string[] = [];
    const stream = await client.stream("containerd.services.events.v1.Events", "Subscribe", {}, (message) =>
      topics.push(String(message.topic)),
    );

    const stdin = join(shim.dir, "stdin");
    const stdout = join(shim.dir, "stdout");
    execFileSync("mkfifo", [stdin, stdout]);
    openSync(stdin, "r+");
    openSync(stdout, "r+");
    const created = await call("Create", { id: "c1", bundle: bundle.dir, stdin, stdout });
    const pid = created.pid as number;
    expect(pid).toBeGreaterThan(0);
    expect(await call("Connect", { id: "c1" })).toMatchObject({ taskPid: pid, shimPid: shim.core("c1").pid });
    expect(await call("State", { id: "c1" })).toMatchObject({
      id: "c1",
      pid,
      status: status.created,
      bundle: bundle.dir,
    });
    expect(await call("Start", { id: "c1" })).toEqual({ pid });
    expect(await call("State", { id: "c1" })).toMatchObject({ status: status.running });

    const process = { args: ["sh", "-c", "exit 6"], cwd: "/", env: ["PATH=/bin"], user: { uid: 0, gid: 0 } };
    const spec = any("Process", process);
    await expect(call("Exec", { id: "c1", execId: "e1", spec })).resolves.toEqual({});
    const execPid = (await call("Start", { id: "c1", execId: "e1" })).pid as number;
    expect(execPid).toBeGreaterThan(0);
    expect(await call("Wait", { id: "c1", execId: "e1" })).toMatchObject({ exitStatus: 6 });
    expect(await call("Delete", { id: "c1", execId: "e1" })).toMatchObject({ exitStatus: 6, pid: execPid });

    expect((await call("Pids", { id: "c1" })).processes).toEqual([expect.objectContaining({ pid })]);
    expect(await call("Stats", { id: "c1" })).toHaveProperty("stats");
    expect(await call("Pause", { id: "c1" })).toEqual({});
    expect(await call("State", { id: "c1" })).toMatchObject({ status: status.paused });
    expect(await call("Resume", { id: "c1" })).toEqual({});
    const resources = any("LinuxResources", { memory: { limit: 16_000_000 } });
    expect(await call("Update", { id: "c1", resources })).toEqual({});
    expect(await call("ResizePty", { id: "c1", width: 80, height: 24 })).toEqual({});
    // Whether it works is a matter of the machine's CRIU and kernel; test/system/checkpoint.test.ts brings its own.
    const checkpoint = await call("Checkpoint", { id: "c1", path: join(shim.dir, "image") }).catch(
      ({ details }: { details: string }) => details,
    );
    expect([{}, expect.stringMatching(/^OCI runtime checkpoint failed: .*CRIU/i)]).toContainEqual(checkpoint);
    await expect(call("Kill", { id: "nobody", signal: 9 })).rejects.toMatchObject({
      code: 5,
      details: "container not created: not found",
    });
    expect(await call("Kill", { id: "c1", signal: 0 })).toEqual({});

    writeFileSync(stdin, "go\n");
    expect(await call("CloseIO", { id: "c1", stdin: true })).toEqual({});
    expect(await call("Wait", { id: "c1" })).toMatchObject({ exitStatus: 137 });
    expect(await call("Delete", { id: "c1" })).toMatchObject({ pid, exitStatus: 137 });
    const reports = (await client.call("vigil.v1.Vigil", "OomReports", {})).reports as Fields[];
    expect(reports).toHaveLength(1);
    expect(String(reports[0]?.summary)).toContain("tail");
    expect(await call("Shutdown", { id: "c1" })).toEqual({});
    stream.cancel();

    expect(topics).toEqual([
      "/tasks/create",
      "/tasks/start",
      "/tasks/exec-added",
      "/tasks/exec-started",
      "/tasks/exit",
      "/tasks/paused",
      "/tasks/resumed",
      "/tasks/oom",
      "/tasks/exit",
      "/tasks/delete",
    ]);
  });
});
