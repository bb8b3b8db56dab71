import { Duplex } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Channel } from "../../../src/host/core/channel.js";

function frame(type: number, payload: Uint8Array, number: bigint, version = 1): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(version, 6);
  header.writeBigUInt64LE(number, 16);
  return Buffer.concat([header, payload]);
}

interface Seen {
  readonly records: [number, string, bigint][];
  readonly batches: bigint[];
  readonly ends: (string | undefined)[];
  readonly written: Buffer[];
  readonly channel: Channel;
  readonly socket: Duplex;
}

function open(): Seen {
  const written: Buffer[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk);
      done();
    },
  });
  const records: Seen["records"] = [];
  const batches: bigint[] = [];
  const ends: Seen["ends"] = [];
  const channel = new Channel(socket, {
    record: (type, payload, number) => records.push([type, Buffer.from(payload).toString("hex"), number]),
    batch: (number) => batches.push(number),
    end: (reason) => ends.push(reason?.message),
  });
  return { records, batches, ends, written, channel, socket };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("the channel to the core", () => {
  test("gives whole records, however the bytes are cut", async () => {
    const record = fc.record({ type: fc.integer({ min: 1, max: 99 }), payload: fc.uint8Array({ maxLength: 300 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(record, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 90 })),
        async (records, cuts) => {
          const seen = open();
          const bytes = Buffer.concat(
            records.map(({ type, payload }, index) => frame(type, payload, BigInt(index + 1))),
          );
          let at = 0;
          for (const cut of cuts) {
            seen.socket.emit("data", bytes.subarray(at, at + cut));
            at += cut;
          }
          if (at < bytes.length) seen.socket.emit("data", bytes.subarray(at));
          expect(seen.records).toEqual(
            records.map(({ type, payload }, index) => [type, Buffer.from(payload).toString("hex"), BigInt(index + 1)]),
          );
          expect(seen.batches.at(-1) ?? 0n).toBe(BigInt(records.length));
          expect(seen.batches).toEqual([...seen.batches].sort((a, b) => Number(a - b)));
          expect(seen.ends).toEqual([]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test.each([
    ["another version", frame(1, new Uint8Array(0), 1n, 2), "the core speaks version 2, not 1"],
    [
      "an endless record",
      Buffer.from([0, 0, 0, 0x7f, 1, 0, 1, 0, ...Array(16).fill(0)]),
      "a record of 2130706432 bytes from the core",
    ],
  ])("ends on %s", (_, bytes, reason) => {
    const seen = open();
    seen.socket.emit("data", bytes);
    expect(seen.ends).toEqual([reason]);
  });

  test("ends with the core", async () => {
    const seen = open();
    seen.socket.push(null);
    seen.socket.resume();
    await turn();
    expect(seen.ends).toEqual([undefined]);
  });

  test("writes header and payload as vigil.h has them", async () => {
    const seen = open();
    seen.channel.send(77, 5, Buffer.from("abc"));
    seen.channel.send(64, 5, new Uint8Array(0));
    await turn();
    const bytes = Buffer.concat(seen.written);
    expect(bytes.length).toBe(24 + 3 + 24);
    expect([bytes.readUInt32LE(0), bytes.readUInt16LE(4), bytes.readUInt16LE(6), bytes.readUInt32LE(8)]).toEqual([
      3, 77, 1, 5,
    ]);
    expect(bytes.subarray(24, 27).toString()).toBe("abc");
    expect(bytes.readUInt16LE(27 + 4)).toBe(64);
  });
});
