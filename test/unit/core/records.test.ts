import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { VigilError } from "../../../src/base/errors.js";
import { decodeRecord } from "../../../src/host/core/records.js";
import { Writer } from "../../../src/host/core/writer.js";

// Payloads in the order of native/include/vigil.h.
const payloads: [string, number, Writer, unknown][] = [
  [
    "hello",
    1,
    new Writer()
      .u32(1)
      .str("boot")
      .u32(7)
      .str("ns")
      .str("group")
      .str("/t.sock")
      .str("/g.sock")
      .str("containerd")
      .str("/b")
      .str("/s")
      .u64(5n)
      .u32(6)
      .u32(42)
      .str("/x")
      .bytes(Buffer.from("o"))
      .bool(true),
    {
      kind: "hello",
      abi: 1,
      bootId: "boot",
      epoch: 7,
      namespace: "ns",
      group: "group",
      ttrpcAddress: "/t.sock",
      grpcAddress: "/g.sock",
      containerdBinary: "containerd",
      bundle: "/b",
      stateDirectory: "/s",
      birth: 5n,
      daemonRestarts: 6,
      corePid: 42,
      address: "/x",
      debug: true,
    },
  ],
  ["state", 2, new Writer().str("c").bytes(Buffer.from("{}")), { kind: "state", container: "c" }],
  ["kept", 3, new Writer().str("g:x").bytes(Buffer.from("r")), { kind: "kept", key: "g:x" }],
  ["outbox", 4, new Writer().u64(3n).u64(2n).bytes(Buffer.from("e")), { kind: "outbox", seq: 3n, fact: 2n }],
  [
    "created",
    5,
    new Writer().u64(1n).u8(1).str("c").u32(9).u64(8n),
    { fact: { kind: "created", seq: 1n, container: "c", pid: 9, at: 8n } },
  ],
  [
    "started",
    5,
    new Writer().u64(1n).u8(2).str("c").str("e").u32(9).u64(8n),
    { fact: { kind: "started", exec: "e", pid: 9 } },
  ],
  [
    "oom",
    5,
    new Writer()
      .u64(1n)
      .u8(3)
      .str("c")
      .u64(2n)
      .u64(3n)
      .u64(4n)
      .u64(5n)
      .u32(1)
      .str("/m")
      .str("a 1")
      .str("a 2")
      .u32(1)
      .str("/s")
      .str("max")
      .u32(1)
      .str("line")
      .bool(true)
      .u32(9)
      .u32(1)
      .str("e")
      .u32(10),
    {
      fact: {
        kind: "oom",
        kills: 2n,
        total: 3n,
        at: 4n,
        monotonic: 5n,
        held: [{ path: "/m", before: "a 1", after: "a 2" }],
        snapshot: [{ path: "/s", text: "max" }],
        lines: ["line"],
        last: true,
        initPid: 9,
        execs: [{ exec: "e", pid: 10 }],
      },
    },
  ],
  [
    "exited",
    5,
    new Writer().u64(1n).u8(4).str("c").str("").u32(9).u32(137).u32(9).u64(8n).u64(7n).bool(false),
    { fact: { kind: "exited", exec: "", status: 137, signal: 9, maxRssBytes: 7n, started: false } },
  ],
  [
    "request",
    6,
    new Writer().str("t:1").u64(1n).u64(2n).u32(3).bool(true).bytes(Buffer.from("d")),
    { kind: "request", key: "t:1", connection: 1n, ageNs: 2n, deliveries: 3, begun: true },
  ],
  ["synced", 7, new Writer(), { kind: "synced" }],
  [
    "result",
    8,
    new Writer().str("k").i32(-2).u32(4).str("no").bytes(Buffer.from("")),
    { kind: "result", key: "k", status: -2, op: 4, message: "no" },
  ],
  ["closed", 9, new Writer().u64(4n), { kind: "closed", connection: 4n }],
  ["connection", 10, new Writer().u64(4n), { kind: "connection", tag: 4n }],
  ["committed", 11, new Writer().str("k").u64(4n), { kind: "committed", key: "k", firstSeq: 4n }],
  ["terminate", 12, new Writer().u32(15), { kind: "terminate", signal: 15 }],
];

describe("records of the core", () => {
  test.each(payloads)("%s", (_, type, writer, expected) => {
    expect(decodeRecord(type, writer.finish())).toMatchObject(expected as object);
  });

  test.each(payloads)("%s: cut or too long is refused", (_, type, writer) => {
    const bytes = writer.finish();
    expect(() => decodeRecord(type, Buffer.concat([bytes, Buffer.from([0])]))).toThrow("malformed record");
    for (let size = 0; size < bytes.length; size += 1) {
      expect(() => decodeRecord(type, bytes.subarray(0, size))).toThrow("malformed record");
    }
  });

  test("names in the kernel's log need not be UTF-8", () => {
    const oom = new Writer().u64(1n).u8(3).str("c").u64(2n).u64(3n).u64(4n).u64(5n).u32(0).u32(0).u32(1);
    oom
      .bytes(Buffer.from([0xff, 0x41]))
      .bool(true)
      .u32(9)
      .u32(0);
    expect(decodeRecord(5, oom.finish())).toMatchObject({ fact: { lines: ["\ufffdA"] } });
  });

  test("any bytes are decoded or refused, never anything else", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 }), fc.uint8Array({ maxLength: 200 }), (type, bytes) => {
        try {
          decodeRecord(type, bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(VigilError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
