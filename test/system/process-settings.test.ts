// How the kernel runs a container's processes: what it says of them itself.
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareBed } from "../support/bed.js";
import { DirectShim } from "../support/direct-shim.js";
import { ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";

let shim: DirectShim;
beforeEach(() => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
});
afterEach(async () => {
  await shim.end();
});

/** proc_pid_stat(5): behind the name, which may hold anything, the fields from number 3 on. */
function scheduling(pid: unknown) {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  return { nice: field(19), priority: field(40), policy: field(41) };
}

test("policy and personality of the init, and of execs, which may have their own", async () => {
  const bundle = shim.bundle("p1", {
    args: ["/bin/sleep", "100"],
    change: (config) => {
      (config.process as Record<string, unknown>).scheduler = { policy: "SCHED_BATCH", nice: 4 };
      (config.linux as Record<string, unknown>).personality = { domain: "LINUX32" };
    },
  });
  const { socket } = shim.start(bundle);
  using client = new ReflectingClient(socket);
  const { pid } = await client.call(task, "Create", { id: "p1", bundle: bundle.dir });
  await client.call(task, "Start", { id: "p1" });
  expect(scheduling(pid)).toEqual({ nice: 4, priority: 0, policy: 3 });
  expect(readFileSync(`/proc/${pid}/personality`, "utf8").trim()).toMatch(/^0*8$/);

  const exec = async (execId: string, more: object) => {
    const process = { args: ["/bin/sleep", "100"], cwd: "/", env: ["PATH=/bin"], ...more };
    const spec = { typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process", value: json(process) };
    await client.call(task, "Exec", { id: "p1", execId, spec });
    return (await client.call(task, "Start", { id: "p1", execId })).pid;
  };
  expect(scheduling(await exec("e1", {}))).toEqual({ nice: 4, priority: 0, policy: 3 });
  const own = await exec("e2", {
    // The real-time ones need a share that cgroup v1 gives nobody (cpu.rt_runtime_us).
    scheduler: { policy: "SCHED_IDLE" },
    execCPUAffinity: { initial: "0", final: "0" },
  });
  expect(scheduling(own)).toMatchObject({ policy: 5 });
  expect(readFileSync(`/proc/${own}/status`, "utf8")).toMatch(/^Cpus_allowed_list:\t0$/m);
  expect(readFileSync(`/proc/${own}/personality`, "utf8").trim()).toMatch(/^0*8$/);

  await client.call(task, "Kill", { id: "p1", signal: 9 });
  await client.call(task, "Wait", { id: "p1" });
  for (const execId of ["e1", "e2"]) await client.call(task, "Delete", { id: "p1", execId });
  await client.call(task, "Delete", { id: "p1" });
  await client.call(task, "Shutdown", { id: "p1" });
});

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}

test("SCHED_CORE is granted or refused, not passed over", () => {
  const bundle = shim.bundle("p2", { args: ["/bin/true"] });
  const { code, stderr } = shim.start(bundle, { SCHED_CORE: "1" });
  // A kernel without core scheduling (CONFIG_SCHED_CORE), or a processor without siblings, has none to grant.
  if (code === 0) expect(stderr).toBe("");
  else expect(stderr).toMatch(/core scheduling \(SCHED_CORE\): (Invalid argument|No such device)/);
});
