// Much through the streams, and readers that do not behave, seen from a client with FIFOs of its own.
import { createHash } from "node:crypto";
import { closeSync, constants, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareBed } from "../support/bed.js";
import { DirectShim } from "../support/direct-shim.js";
import { FifoReader, FifoWriter, makeFifo } from "../support/fifo.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const MiB = 1 << 20;
const patience = { timeout: 60_000 };

let shim: DirectShim;
beforeEach(() => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
});
afterEach(async () => {
  await shim.end();
});

interface Container extends Disposable {
  readonly stdin: string;
  readonly stdout: string;
  /** The first reader of its output: Create waits for one. */
  readonly reader: FifoReader;
  call(method: string, more?: Fields): Promise<Fields>;
  /** Kills what still runs, then Delete and Shutdown. */
  end(): Promise<void>;
}

/** Created and not started, with FIFOs as its streams. */
async function container(script: string, options: { terminal?: boolean } = {}): Promise<Container> {
  const { terminal = false } = options;
  const bundle = shim.bundle("c1", { args: ["/bin/sh", "-c", script], terminal });
  const client = new ReflectingClient(shim.start(bundle).socket);
  const call = (method: string, more: Fields = {}) => client.call(task, method, { id: "c1", ...more });
  const [stdin, stdout] = ["in", "out"].map((name) => makeFifo(join(shim.dir, name))) as [string, string];
  const reader = new FifoReader(stdout);
  await call("Create", { bundle: bundle.dir, stdin, stdout, terminal });
  return {
    stdin,
    stdout,
    reader,
    call,
    end: async () => {
      await call("Kill", { signal: 9, all: true }).catch(() => undefined);
      await call("Wait");
      await call("Delete");
      await call("Shutdown");
    },
    [Symbol.dispose]: () => {
      reader[Symbol.dispose]();
      client[Symbol.dispose]();
    },
  };
}

/** The most memory that the core ever had, in KiB. */
const peak = (): number =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${shim.core("c1").pid}/status`, "utf8"))?.[1]);

test("1 GiB of output arrives whole, and passes without being kept", async () => {
  using c = await container("dd if=/dev/zero bs=1M count=1024 2>/dev/null; exit 3");
  const { reader } = c;
  const before = peak();
  await c.call("Start");
  expect(await c.call("Wait")).toMatchObject({ exitStatus: 3 });
  await expect.poll(() => reader.bytes, patience).toBe(1024 * MiB);
  expect(peak() - before).toBeLessThan(16 * 1024);
  await c.end();
  await reader.ended;
  expect(reader.bytes).toBe(1024 * MiB);
}, 120_000);

test("100 MiB of input arrive whole before the end that CloseIO makes", async () => {
  using c = await container("sha256sum");
  const { reader } = c;
  await c.call("Start");
  const part = Buffer.alloc(MiB, "vigil\n");
  const whole = createHash("sha256");
  {
    using writer = new FifoWriter(c.stdin);
    for (let at = 0; at < 100; at++) {
      part.writeUInt32BE(at);
      whole.update(part);
      await writer.write(part);
    }
  }
  await c.call("CloseIO", { stdin: true });
  expect(await c.call("Wait")).toMatchObject({ exitStatus: 0 });
  await expect.poll(() => reader.text, patience).toBe(`${whole.digest("hex")}  -\n`);
  await c.end();
}, 120_000);

test("a reader that stops holds up its container and nobody else; then it gets everything", async () => {
  using c = await container("seq 1 1500000");
  const { reader } = c;
  reader.stopAt = MiB;
  await c.call("Start");
  await expect.poll(() => reader.bytes, patience).toBeGreaterThanOrEqual(MiB);
  // The shim serves, and its container waits.
  const spec = {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
    value: Buffer.from(JSON.stringify({ args: ["/bin/true"], cwd: "/", env: [] })),
  };
  await c.call("Exec", { execId: "e1", spec });
  await c.call("Start", { execId: "e1" });
  expect(await c.call("Wait", { execId: "e1" })).toMatchObject({ exitStatus: 0 });
  expect(await c.call("State")).toMatchObject({ status: 2 });
  reader.resume();
  expect(await c.call("Wait")).toMatchObject({ exitStatus: 0 });
  const text = Array.from({ length: 1_500_000 }, (_, at) => `${at + 1}\n`).join("");
  await expect.poll(() => reader.bytes, patience).toBe(text.length);
  expect(reader.digest).toBe(createHash("sha256").update(text).digest("hex"));
  await c.call("Delete", { execId: "e1" });
  await c.end();
}, 120_000);

test("after a reader that dies the next one goes on where it was", async () => {
  using c = await container("seq 1 200000; exec sleep 100");
  c.reader[Symbol.dispose]();
  await c.call("Start");
  // By hand, so that it takes no byte more than it tells.
  const first = openSync(c.stdout, constants.O_RDONLY);
  const taken = readSync(first, Buffer.alloc(100));
  closeSync(first);
  expect(await c.call("State")).toMatchObject({ status: 2 });
  using second = new FifoReader(c.stdout);
  const text = Array.from({ length: 200_000 }, (_, at) => `${at + 1}\n`).join("");
  await expect.poll(() => taken + second.bytes, patience).toBe(text.length);
  expect(second.digest).toBe(createHash("sha256").update(text.slice(taken)).digest("hex"));
  await c.end();
}, 120_000);

test("a reader that has gone for good does not keep Kill, Wait and Delete from their work", async () => {
  // More than the FIFO holds, and less than the FIFO and what the shim has before it.
  using c = await container("seq 1 20000; touch /tmp/written; exec sleep 100");
  c.reader[Symbol.dispose]();
  await c.call("Start");
  await expect.poll(() => existsSync(join(shim.dir, "bundles/c1/rootfs/tmp/written")), patience).toBe(true);
  await c.call("Kill", { signal: 9 });
  expect(await c.call("Wait")).toMatchObject({ exitStatus: 137 });
  // Delete waits ten seconds for the reader, as containerd's own shim does, and goes on without it.
  expect(await c.call("Delete")).toMatchObject({ exitStatus: 137 });
  await c.call("Shutdown");
}, 120_000);

test("a storm of resizes ends with the last size", async () => {
  using c = await container("until [ -e /tmp/now ]; do stty size; done; stty size; exec sleep 100", { terminal: true });
  const { reader } = c;
  await c.call("Start");
  const sizes = Array.from({ length: 500 }, (_, at) => ({ width: 20 + at, height: 10 + (at % 50) }));
  await Promise.all(sizes.map((size) => c.call("ResizePty", size)));
  await c.call("ResizePty", { width: 77, height: 33 });
  const spec = {
    typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
    value: Buffer.from(JSON.stringify({ args: ["/bin/touch", "/tmp/now"], cwd: "/", env: [] })),
  };
  await c.call("Exec", { execId: "e1", spec });
  await c.call("Start", { execId: "e1" });
  await c.call("Wait", { execId: "e1" });
  await c.call("Delete", { execId: "e1" });
  await expect.poll(() => reader.text.slice(-7), patience).toBe("33 77\r\n");
  await c.end();
}, 120_000);
