// A pod without a pause container, as another manager would ask for it: the Sandbox service over gRPC.
import { mkdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareBed, seconds } from "../support/bed.js";
import { DirectShim } from "../support/direct-shim.js";
import { alive, childrenOf, killNow } from "../support/process-tree.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const sandbox = "containerd.runtime.sandbox.v1.Sandbox";
const codes = { notFound: 5, alreadyExists: 6, failedPrecondition: 9, unimplemented: 12 };
const patience = { timeout: seconds(20) };

let shim: DirectShim;
let client: ReflectingClient;
let socket: string;
let core: number;
const call = (method: string, request: Fields = {}) => client.call(sandbox, method, { sandboxId: "pod1", ...request });
const inTask = (method: string, request: Fields) => client.call(task, method, request);

beforeEach(async () => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
  // As containerd prepares it: without a config.json.
  const dir = join(shim.dir, "bundles", "pod1");
  mkdirSync(dir, { recursive: true });
  socket = shim.start({ id: "pod1", dir }).socket;
  client = new ReflectingClient(socket);
  core = (await inTask("Connect", { id: "pod1" })).shimPid as number;
});
afterEach(async () => {
  client[Symbol.dispose]();
  // Of a test that failed half-way.
  killNow(core);
  shim.deleteAll();
  shim.delete({ id: "pod1", dir: join(shim.dir, "bundles", "pod1") });
  await expect.poll(() => shim.leftovers(), patience).toEqual([]);
  shim[Symbol.dispose]();
});

async function run(id: string, args: readonly string[]): Promise<number> {
  const annotations = { "io.kubernetes.cri.sandbox-id": "pod1" };
  const joining = (config: Record<string, unknown>) => {
    const linux = config.linux as { namespaces: unknown };
    const joined = ["ipc", "uts"].map((type) => ({ type, path: `/proc/${core}/ns/${type}` }));
    linux.namespaces = [{ type: "pid" }, { type: "mount" }, ...joined];
  };
  const bundle = shim.bundle(id, { args, annotations, change: joining });
  shim.start(bundle);
  const { pid } = await inTask("Create", { id, bundle: bundle.dir });
  await inTask("Start", { id });
  return pid as number;
}

/** gRPC connections end with their daemon. */
const killDaemon = () => {
  client[Symbol.dispose]();
  for (const { pid, command } of childrenOf(core)) if (command.includes("daemon")) killNow(pid);
  client = new ReflectingClient(socket);
};

test("its whole life, of which no step is lost with a daemon", async () => {
  await expect(call("StartSandbox")).rejects.toMatchObject({ code: codes.notFound });
  await call("CreateSandbox", { bundlePath: join(shim.dir, "bundles", "pod1") });
  await expect(call("CreateSandbox")).rejects.toMatchObject({ code: codes.alreadyExists });
  expect(await call("SandboxStatus")).toMatchObject({ state: "SANDBOX_NOTREADY", pid: core });
  killDaemon();
  const started = await call("StartSandbox");
  expect(started).toMatchObject({ pid: core });
  await expect(call("StartSandbox")).rejects.toMatchObject({ code: codes.failedPrecondition });
  killDaemon();
  expect(await call("PingSandbox")).toEqual({});
  const status = await call("SandboxStatus", { verbose: true });
  expect(status).toMatchObject({ sandboxId: "pod1", pid: core, state: "SANDBOX_READY", createdAt: started.createdAt });
  expect(JSON.parse((status.info as { info: string }).info)).toMatchObject({ pid: core, status: "ready" });
  expect((await call("Platform")).platform).toMatchObject({ os: "linux" });
  await expect(call("PingSandbox", { sandboxId: "other" })).rejects.toMatchObject({ code: codes.notFound });
  // No cgroup was named.
  await expect(call("SandboxMetrics")).rejects.toMatchObject({ code: codes.unimplemented });

  const pid = await run("a", ["sleep", "100"]);
  expect(readlinkSync(`/proc/${pid}/ns/ipc`)).toBe(readlinkSync(`/proc/${core}/ns/ipc`));
  expect(readlinkSync(`/proc/${pid}/ns/ipc`)).not.toBe(readlinkSync("/proc/self/ns/ipc"));
  const ended = call("WaitSandbox");
  await call("StopSandbox");
  expect(await ended).toMatchObject({ exitStatus: 0 });
  killDaemon();
  expect(await call("WaitSandbox")).toEqual(await ended);
  expect(await call("SandboxStatus")).toMatchObject({ state: "SANDBOX_NOTREADY" });
  expect(await inTask("State", { id: "a" })).toMatchObject({ exitStatus: 137 });
  await expect(call("ShutdownSandbox")).rejects.toMatchObject({ code: codes.failedPrecondition });
  await inTask("Delete", { id: "a" });
  await inTask("Shutdown", { id: "a" });
  expect(await call("PingSandbox")).toEqual({});
  await call("ShutdownSandbox");
  await expect.poll(() => alive(core), patience).toBe(false);
});

test("its end gives its containers the time that was asked for", async () => {
  await call("CreateSandbox");
  await call("StartSandbox");
  const pid = await run("polite", ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"]);
  await call("StopSandbox", { timeoutSecs: 60 });
  expect(await inTask("State", { id: "polite" })).toMatchObject({ pid, exitStatus: 3 });
  await inTask("Delete", { id: "polite" });
  await call("ShutdownSandbox");
  await expect.poll(() => alive(core), patience).toBe(false);
});
