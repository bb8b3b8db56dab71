// Checkpoint and restore through the shim, with real CRIU. `test/bed/bed.sh criu` fetches one for kernels that Debian 12's does not know.
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CheckpointOptions, Options } from "../../src/gen/containerd/runc/v1/oci.js";
import { prepareBed } from "../support/bed.js";
import { findCriu } from "../support/criu.js";
import { type Bundle, DirectShim } from "../support/direct-shim.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const criu = findCriu();
if (criu.path === undefined) console.warn(`skipped: checkpoints, as there is no CRIU that works here: ${criu.why}`);

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

function calls(bundle: Bundle, binaryName: string) {
  client = new ReflectingClient(shim.start(bundle).socket);
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

describe.skipIf(criu.path === undefined).each([["runc"]])("a checkpoint by %s", (binaryName) => {
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

describe("without CRIU", () => {
  beforeEach(() => begin(undefined));

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
