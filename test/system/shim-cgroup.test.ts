// The option ShimCgroup of a Create.
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Options } from "../../src/gen/containerd/runc/v1/oci.js";
import { detectCgroups } from "../../src/host/cgroup/detect.js";
import { prepareBed } from "../support/bed.js";
import { DirectShim } from "../support/direct-shim.js";
import { childrenOf } from "../support/process-tree.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const notFound = 5;

let shim: DirectShim;
let path: string;
let directories: string[];
beforeEach(() => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
  path = `/vigil-direct/${shim.dir.slice(-6)}-shim`;
  directories = detectCgroups()
    .hierarchies.filter(({ version }) => version === 1)
    .map(({ mountPoint }) => join(mountPoint, path));
});
afterEach(async () => {
  shim.deleteAll();
  for (const directory of directories.filter((each) => existsSync(each))) {
    await expect.poll(() => readFileSync(join(directory, "cgroup.procs"), "utf8"), { timeout: 20_000 }).toBe("");
    rmdirSync(directory);
  }
  await shim.end();
});

/** A v1 cpuset takes nobody before it has processors and memory nodes; they are inherited where that is switched on. */
function makeCgroups(): void {
  for (const directory of directories) {
    if (!directory.includes("cpuset")) mkdirSync(directory, { recursive: true });
  }
}

const optionsOf = (shimCgroup: string) => ({
  typeUrl: "containerd.runc.v1.Options",
  value: Options.encode(Options.fromPartial({ shimCgroup })).finish(),
});
const cgroupsOf = (pid: number) => readFileSync(`/proc/${pid}/cgroup`, "utf8");
const scoreOf = (pid: number) => readFileSync(`/proc/${pid}/oom_score_adj`, "utf8").trim();

test("core and daemon are in it, a later daemon too, and the container is in its own", async () => {
  makeCgroups();
  const { id, dir } = shim.bundle("c1", { args: ["sleep", "100"] });
  {
    using client = new ReflectingClient(shim.start({ id, dir }).socket);
    const call = (method: string, more: Fields = {}) => client.call(task, method, { id, ...more });
    const { pid } = await call("Create", { bundle: dir, options: optionsOf(path) });
    await call("Start");
    const { pid: core } = shim.core("c1");
    const daemon = () => childrenOf(core).find(({ command }) => command.includes("daemon"))?.pid ?? 0;
    const first = daemon();
    for (const each of [core, first]) {
      expect(cgroupsOf(each)).toContain(`memory:${path}\n`);
      expect(scoreOf(each)).toBe(scoreOf(core));
    }
    expect(cgroupsOf(Number(pid))).not.toContain(path);
    process.kill(first, "SIGKILL");
    await expect.poll(() => call("Connect").then(daemon, () => 0), { timeout: 20_000 }).not.toBe(0);
    expect(cgroupsOf(daemon())).toContain(`memory:${path}\n`);
    await call("Kill", { signal: 9 });
    await call("Wait");
    await call("Delete");
    await call("Shutdown");
  }
});

test("one that nobody has made is refused, and nothing is left", async () => {
  const { id, dir } = shim.bundle("c1", { args: ["true"] });
  using client = new ReflectingClient(shim.start({ id, dir }).socket);
  await expect(client.call(task, "Create", { id, bundle: dir, options: optionsOf(path) })).rejects.toMatchObject({
    code: notFound,
    details: expect.stringContaining(`options.ShimCgroup: "${path}"`),
  });
});
