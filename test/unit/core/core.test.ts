import { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { Channel } from "../../../src/host/core/channel.js";
import { CoreError } from "../../../src/host/core/commands.js";
import { Core, type CoreEvents } from "../../../src/host/core/core.js";
import { Reader } from "../../../src/host/core/reader.js";
import { Writer } from "../../../src/host/core/writer.js";

interface Sent {
  readonly type: number;
  readonly epoch: number;
  readonly payload: Buffer;
}

function open(): { core: Core; sent: Sent[]; tell(type: number, payload: Writer): void } {
  const sent: Sent[] = [];
  let rest = Buffer.alloc(0);
  const socket = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 24 && rest.length >= 24 + rest.readUInt32LE(0)) {
        const end = 24 + rest.readUInt32LE(0);
        sent.push({ type: rest.readUInt16LE(4), epoch: rest.readUInt32LE(8), payload: rest.subarray(24, end) });
        rest = rest.subarray(end);
      }
      done();
    },
  });
  const nothing = (): void => undefined;
  const events: CoreEvents = {
    hello: nothing,
    state: nothing,
    kept: nothing,
    outbox: nothing,
    fact: nothing,
    request: nothing,
    synced: nothing,
    closed: nothing,
    connection: nothing,
    terminate: nothing,
    batch: nothing,
  };
  const channel = new Channel(socket, { record: nothing, batch: nothing, end: nothing });
  const core = new Core(channel, events);
  const tell = (type: number, payload: Writer): void => core.take(type, payload.finish());
  const hello = new Writer()
    .u32(1)
    .str("b")
    .u32(9)
    .str("")
    .str("")
    .str("")
    .str("")
    .str("")
    .str("")
    .str("")
    .u64(1n)
    .u32(0);
  tell(1, hello.u32(1).str("").u32(0).bool(false));
  return { core, sent, tell };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const result = (key: string, status: number, message = "", data = new Uint8Array(0)) =>
  new Writer().str(key).i32(status).u32(3).str(message).bytes(data);

describe("commands to the core", () => {
  test("a signal: its payload, its epoch, its result", async () => {
    const { core, sent, tell } = open();
    const done = core.signal("t:1/signal", "c", "e", 15);
    await turn();
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ type: 72, epoch: 9 });
    const r = new Reader(sent[0]?.payload ?? Buffer.alloc(0));
    expect([r.str(), r.str(), r.str(), r.u32()]).toEqual(["t:1/signal", "c", "e", 15]);
    r.end();
    tell(8, result("t:1/signal", 0));
    await done;
  });

  test("a failure has the error number, the op and the core's words", async () => {
    const { core, tell } = open();
    const done = core.script("k/a", new Uint8Array(0), { undo: true });
    tell(8, result("k/a", -16, "busy"));
    await expect(done).rejects.toEqual(expect.any(CoreError));
    await expect(done).rejects.toMatchObject({ errno: 16, op: 3, message: "busy" });
  });

  test("a command given twice with one key gets one result", async () => {
    const { core, tell } = open();
    const both = Promise.all([core.start("k/s", "c"), core.start("k/s", "c")]);
    tell(8, result("k/s", 0));
    tell(8, result("k/s", 0));
    await both;
  });

  test("commits are answered in their order, refused ones too", async () => {
    const { core, tell } = open();
    const commit = { states: [], outbox: [], factsThrough: 0n, finished: true };
    const first = core.commit({ ...commit, key: "a" });
    const second = core.commit({ ...commit, key: "b" });
    const third = core.commit({ ...commit, key: "c" });
    tell(11, new Writer().str("a").u64(4n));
    tell(8, result("b", -105, "full"));
    tell(11, new Writer().str("c").u64(5n));
    expect(await first).toBe(4n);
    await expect(second).rejects.toMatchObject({ code: "resource_exhausted", cause: { errno: 105 } });
    expect(await third).toBe(5n);
  });

  test("a commit has everything in one record", async () => {
    const { core, sent } = open();
    void core.commit({
      key: "k",
      states: [
        { container: "a", blob: Buffer.from("{}") },
        { container: "b", blob: null },
      ],
      outbox: [{ fact: 3n, entry: Buffer.from("e") }],
      factsThrough: 3n,
      reply: Buffer.from("r"),
      finished: true,
    });
    await turn();
    const r = new Reader(sent[0]?.payload ?? Buffer.alloc(0));
    expect(r.str()).toBe("k");
    expect(r.list((x) => [x.str(), x.bool(), x.text()])).toEqual([
      ["a", true, "{}"],
      ["b", false, ""],
    ]);
    expect(r.list((x) => [x.u64(), x.text()])).toEqual([[3n, "e"]]);
    expect([r.u64(), r.bool(), r.text(), r.bool()]).toEqual([3n, true, "r", true]);
    r.end();
  });

  test("what does not fit a record is refused here", async () => {
    const { core } = open();
    const blob = Buffer.alloc(17 << 20);
    const commit = { key: "k", states: [{ container: "a", blob }], outbox: [], factsThrough: 0n, finished: true };
    await expect(core.commit(commit)).rejects.toMatchObject({ code: "resource_exhausted" });
  });

  test("an answer to a commit that was not given ends the daemon", () => {
    const { tell } = open();
    expect(() => tell(11, new Writer().str("x").u64(1n))).toThrow("the core answered commit x");
  });
});
