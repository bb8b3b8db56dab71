// Checkpoint and restore through the shim, with real CRIU. `test/bed/bed.sh criu` fetches one for kernels that Debian 12's does not know.
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CheckpointOptions, Options } from "../../src/gen/containerd/runc/v1/oci.js";
import { prepareBed } from "../support/bed.js";
import { findCriu } from "../support/criu.js";
import { type Bundle, DirectShim } from "../support/direct-shim.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const criu = findCriu();
if (criu.path === undefined)
  console.warn(`skipped: checkpoints, as no CRIU works here (test/bed/bed.sh criu fetches one): ${criu.why}`);

const CREATED = 1;
const RUNNING = 2;
const PAUSED = 4;

let shim: DirectShim;
let client: ReflectingClient;
let images: string;
let output: string;

function begin(path: string | undefined): void {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc", ...(path === undefined ? {} : { PATH: path }) });
  images = join(shim.dir, "images");
  output = join(shim.dir, "out");
}

afterEach(async () => {
  client[Symbol.dispose]();
  await shim.end();
});

/** Counts in its memory: only a restored one goes on where it was. */
const counting = ["/bin/sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"];

function counted(): number[] {
  const text = existsSync(output) ? readFileSync(output, "utf8") : "";
  return text.split("\n").slice(0, -1).map(Number);
}

const patiently = { timeout: 30_000, interval: 50 };

async function untilCounted(number: number): Promise<void> {
  await expect.poll(() => counted().at(-1) ?? 0, patiently).toBeGreaterThanOrEqual(number);
}

const any = (typeUrl: string, value: Uint8Array) => ({ typeUrl, value });

function calls(bundle: Bundle, binaryName: string, env: Record<string, string> = {}) {
  client = new ReflectingClient(shim.start(bundle, env).socket);
  const call = (method: string, more: Fields = {}) => client.call(task, method, { id: bundle.id, ...more });
  const options = any(
    Options.$type,
    Options.encode(Options.fromPartial({ binaryName, root: join(shim.dir, "root") })).finish(),
  );
  return {
    call,
    create: (more: Fields = {}) => call("Create", { bundle: bundle.dir, stdout: `file://${output}`, options, ...more }),
    checkpoint: (more: Parameters<typeof CheckpointOptions.fromPartial>[0] = {}) =>
      call("Checkpoint", {
        path: images,
        options: any(CheckpointOptions.$type, CheckpointOptions.encode(CheckpointOptions.fromPartial(more)).finish()),
      }),
    async end(): Promise<void> {
      await call("Kill", { signal: 9 });
      expect(await call("Wait")).toMatchObject({ exitStatus: 137 });
      await call("Delete");
      await call("Shutdown");
    },
  };
}

describe.skipIf(criu.path === undefined).each([
  ["runc", "runc"],
  ["vigil's own runtime", ""],
])("a checkpoint by %s", (_, binaryName) => {
  beforeEach(() => begin(criu.path));

  test("ends the container, and another one goes on where it was", async () => {
    const { call, create, checkpoint, end } = calls(shim.bundle("p1", { args: counting }), binaryName);
    await create();
    await expect(checkpoint()).rejects.toThrow("cannot checkpoint a task in created state");
    await call("Start");
    await untilCounted(5);
    await checkpoint({ exit: true });
    expect(await call("Wait")).toMatchObject({ exitStatus: 137 });
    await expect(checkpoint()).rejects.toThrow("cannot checkpoint a stopped container");
    await call("Delete");
    const before = counted();

    expect(await create({ checkpoint: images })).toMatchObject({ pid: 0 });
    expect(await call("State")).toMatchObject({ status: CREATED, pid: 0 });
    const { pid } = await call("Start");
    expect(pid).toBeGreaterThan(1);
    expect(await call("State")).toMatchObject({ status: RUNNING, pid });
    await untilCounted((before.at(-1) ?? 0) + 5);
    const numbers = counted();
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    const { processes } = (await call("Pids")) as { processes: { pid: number }[] };
    expect(processes.map((one) => one.pid)).toContain(pid);
    await end();
  });

  test("leaves it running, or paused", async () => {
    const { call, create, checkpoint, end } = calls(shim.bundle("p2", { args: counting }), binaryName);
    await create();
    const { pid } = await call("Start");
    await untilCounted(1);
    const work = join(shim.dir, "work");
    await checkpoint({ workPath: work });
    expect(readFileSync(join(work, "dump.log"), "utf8")).toContain("Dumping finished successfully");
    expect(await call("State")).toMatchObject({ status: RUNNING, pid });
    await untilCounted(counted().length + 3);
    await call("Pause");
    await checkpoint();
    expect(await call("State")).toMatchObject({ status: PAUSED, pid });
    await call("Resume");
    await untilCounted(counted().length + 3);
    await end();
  });

  test("with a terminal", async () => {
    const { call, create, checkpoint, end } = calls(shim.bundle("p3", { args: counting, terminal: true }), binaryName);
    const digits = () =>
      existsSync(output) ? readFileSync(output, "utf8").split("\r\n").slice(0, -1).map(Number) : [];
    await create({ terminal: true });
    await call("Start");
    await expect.poll(() => digits().length, patiently).toBeGreaterThan(3);
    await checkpoint({ exit: true });
    await call("Wait");
    await call("Delete");
    const before = digits().length;
    await create({ terminal: true, checkpoint: images });
    await call("Start");
    await expect.poll(() => digits().length, patiently).toBeGreaterThan(before + 3);
    expect(digits()).toEqual(digits().map((_, index) => index + 1));
    await call("ResizePty", { width: 99, height: 41 });
    await end();
  });

  test("that is not restored leaves nothing, whoever deletes it", async () => {
    const bundle = shim.bundle("p10", { args: counting });
    const { call, create, checkpoint } = calls(bundle, binaryName);
    await create();
    await call("Start");
    await checkpoint({ exit: true });
    await call("Wait");
    await call("Delete");
    await create({ checkpoint: images });
    await call("Delete");
    await create({ checkpoint: images });
    await expect(call("Kill", { signal: 9 })).rejects.toThrow("not found");
    // The rest is for the launcher's `delete`.
  });

  test("with a damaged image cannot be restored, and the task can be deleted", async () => {
    const bundle = shim.bundle("p4", { args: counting });
    const { call, create, checkpoint } = calls(bundle, binaryName);
    await create();
    await call("Start");
    await checkpoint({ exit: true });
    await call("Wait");
    await call("Delete");
    truncateSync(join(images, "core-1.img"), 4);
    await create({ checkpoint: images });
    await expect(call("Exec", { execId: "e", spec: any("x", Buffer.from("{}")) })).rejects.toThrow(
      "cannot exec in a created state",
    );
    await expect(call("Start")).rejects.toThrow(/OCI runtime restore failed: .* path= \S*criu-restore.log/);
    expect(readFileSync(join(bundle.dir, "criu-restore.log"), "utf8")).toContain("Error");
    expect(await call("State")).toMatchObject({ status: CREATED, pid: 0 });
    await call("Delete");
    await call("Shutdown");
  });
});

/** Much of what a configuration can ask for: everything here is in the images, or the host's under another name. */
function rich(id: string, name: string): Bundle {
  const data = join(shim.dir, `data-${id}`);
  mkdirSync(data);
  writeFileSync(join(data, "name"), name);
  const script = "i=0; while read line; do i=$((i+1)); echo $i $line $(cat /data/name) $(cat /etc/name); done";
  return shim.bundle(id, {
    args: ["/bin/sh", "-c", script],
    memoryLimit: 32 << 20,
    change: (config) => {
      const flags = ["nosuid", "noexec", "nodev"];
      (config.mounts as unknown[]).push(
        { destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "size=65536k"] },
        { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: flags },
        { destination: "/sys", type: "sysfs", source: "sysfs", options: [...flags, "ro"] },
        { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: [...flags, "ro"] },
        { destination: "/data", type: "bind", source: data, options: ["rbind", "ro"] },
        { destination: "/etc/name", type: "bind", source: join(data, "name"), options: ["bind"] },
      );
      config.hostname = "restored";
      config.root = { path: "rootfs", readonly: true };
      Object.assign(config.linux as object, {
        maskedPaths: ["/proc/acpi", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
        readonlyPaths: ["/proc/sys", "/proc/irq"],
        seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["sethostname"], action: "SCMP_ACT_ERRNO" }] },
      });
    },
  });
}

describe.skipIf(criu.path === undefined)("a container with much of its own", () => {
  beforeEach(() => begin(criu.path));

  test("is restored as another one, with that one's streams, mounts and cgroups", async () => {
    const stdin = join(shim.dir, "in");
    execFileSync("mkfifo", [stdin]);
    const fifo = openSync(stdin, constants.O_RDWR);
    const say = (line: string) => writeSync(fifo, `${line}\n`);
    const lines = () => (existsSync(output) ? readFileSync(output, "utf8").split("\n").slice(0, -1) : []);

    const first = calls(rich("p6", "old"), "");
    await first.create({ stdin });
    await first.call("Start");
    say("one");
    await expect.poll(lines, patiently).toEqual(["1 one old old"]);
    await first.checkpoint({ exit: true });
    await first.call("Wait");
    await first.call("Delete");
    await first.call("Shutdown");
    client[Symbol.dispose]();

    const { call, create, end } = calls(rich("p7", "new"), "");
    await create({ stdin, checkpoint: images });
    const { pid } = await call("Start");
    say("two");
    await expect.poll(lines, patiently).toEqual(["1 one old old", "2 two new new"]);
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toMatch(/:memory:.*p7$|^0::.*p7$/m);
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).not.toContain("p6");
    expect(readFileSync(`/proc/${pid}/status`, "utf8")).toMatch(/^Seccomp:\s*2$/m);

    const eater = { args: ["/bin/sh", "-c", "head -c 200000000 /dev/zero | tail"], cwd: "/", env: ["PATH=/bin"] };
    const spec = any("types.containerd.io/opencontainers/runtime-spec/1/Process", Buffer.from(JSON.stringify(eater)));
    await call("Exec", { execId: "e1", spec });
    await call("Start", { execId: "e1" });
    await call("Wait", { execId: "e1" });
    await call("Delete", { execId: "e1" });
    const { reports } = (await client.call("vigil.v1.Vigil", "OomReports", {})) as { reports: unknown[] };
    expect(reports).not.toEqual([]);
    expect(await call("State")).toMatchObject({ status: RUNNING, pid });
    closeSync(fifo);
    await end();
  });

  test.each([
    [
      "a namespace that is joined",
      { type: "ipc", path: "/proc/self/ns/ipc" },
      "linux.namespaces[5].path: a ipc namespace",
    ],
    ["a time namespace", { type: "time" }, "linux.namespaces[5]: a time namespace"],
  ])("is not taken with %s", async (_, namespace, words) => {
    const bundle = shim.bundle("p8", {
      args: counting,
      change: (config) => {
        const linux = config.linux as { namespaces: { type: string }[] };
        linux.namespaces = [...linux.namespaces.filter(({ type }) => type !== namespace.type), namespace];
      },
    });
    const { call, create, checkpoint, end } = calls(bundle, "");
    await create();
    await call("Start");
    await expect(checkpoint()).rejects.toThrow("not implemented");
    await expect(checkpoint()).rejects.toThrow(words.replace("[5]", `[${namespace.type === "ipc" ? 4 : 5}]`));
    await end();
  });
});

describe("without CRIU", () => {
  beforeEach(() => begin(undefined));

  test("vigil says what to install, and the container goes on", async () => {
    const path = join(shim.dir, "bin");
    mkdirSync(path);
    symlinkSync(process.execPath, join(path, "node"));
    const { call, create, checkpoint, end } = calls(shim.bundle("p9", { args: counting }), "", { PATH: path });
    await create();
    await call("Start");
    await expect(checkpoint({ exit: true })).rejects.toThrow(
      'exec: "criu": executable file not found in $PATH: install CRIU (Debian: apt-get install criu)',
    );
    await untilCounted(counted().length + 3);
    await end();
  });

  test("runc says what is missing, and the container goes on", async () => {
    const runc = (process.env.PATH ?? "").split(":").find((directory) => existsSync(join(directory, "runc")));
    const alone = join(shim.dir, "runc");
    writeFileSync(alone, `#!/bin/sh\nPATH=/nosuch exec ${runc ?? expect.fail("no runc in PATH")}/runc "$@"\n`, {
      mode: 0o755,
    });
    const { call, create, checkpoint, end } = calls(shim.bundle("p5", { args: counting }), alone);
    await create();
    await call("Start");
    await expect(checkpoint({ exit: true })).rejects.toThrow(
      /OCI runtime checkpoint failed: .*"criu": executable file not found/,
    );
    await untilCounted(counted().length + 3);
    await end();
  });
});
