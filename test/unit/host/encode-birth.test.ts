import { expect, test } from "vitest";
import type { Birth } from "../../../src/host/core/birth.js";
import { encodeBirth, encodeRestore } from "../../../src/host/core/encode-birth.js";
import { Reader } from "../../../src/host/core/reader.js";

const birth: Birth = {
  container: "c1",
  exec: "e1",
  teardown: "vigil-teardown 1\n",
  terminal: true,
  ioUid: 1000,
  ioGid: 2000,
  ioTimeoutMs: 30_000,
  streams: [
    { kind: "null", path: "" },
    { kind: "path", path: "/out" },
    { kind: "logger", path: "" },
  ],
  logger: { argv: ["/log", "a"], env: ["CONTAINER_ID=e1"], mustReady: true },
  script: new Uint8Array([9]),
  watch: { version: 2, cgroup: "/c", held: ["/c/memory.events"], snapshot: ["/c/memory.max"] },
  cloneFlags: 0x20000n,
  joins: [{ flag: 0x40000000n, path: "/proc/7/ns/net" }],
  initNamespaces: 1n << 33n,
  cgroup: { version: 2, directories: ["/c"] },
  ops: new Uint8Array([7, 8]),
};

test("struct birth has its members in the order of vigil.h and nothing after them", () => {
  const r = new Reader(encodeBirth(birth));
  const strs = () => r.list(() => r.str());
  expect([r.str(), r.str(), r.str()]).toEqual(["c1", "e1", "vigil-teardown 1\n"]);
  expect([r.bool(), r.u32(), r.u32(), r.u32()]).toEqual([true, 1000, 2000, 30_000]);
  expect([r.u8(), r.str(), r.u8(), r.str(), r.u8(), r.str()]).toEqual([0, "", 1, "/out", 3, ""]);
  expect([strs(), strs(), r.bool()]).toEqual([["/log", "a"], ["CONTAINER_ID=e1"], true]);
  expect([...r.bytes()]).toEqual([9]);
  expect([r.u8(), r.str(), strs(), strs()]).toEqual([2, "/c", ["/c/memory.events"], ["/c/memory.max"]]);
  expect([r.u64(), r.list(() => [r.u64(), r.str()]), r.u64()]).toEqual([
    0x20000n,
    [[0x40000000n, "/proc/7/ns/net"]],
    1n << 33n,
  ]);
  expect([r.u8(), strs()]).toEqual([2, ["/c"]]);
  expect([...r.bytes()]).toEqual([7, 8]);
  r.end();
});

test("struct restore has its members in the order of vigil.h and nothing after them", () => {
  const criu = { program: "criu", request: 2, options: new Uint8Array([5]), images: "/i", work: "/w", timeoutMs: 9 };
  const r = new Reader(
    encodeRestore({
      criu,
      root: "/r",
      inherited: ["", "pipe:[1]", ""],
      directories: ["/d"],
      files: ["/f"],
      undo: new Uint8Array([6]),
    }),
  );
  const strs = () => r.list(() => r.str());
  expect([r.str(), r.u32(), [...r.bytes()], r.str(), r.str(), r.u32()]).toEqual(["criu", 2, [5], "/i", "/w", 9]);
  expect([r.str(), strs(), strs(), strs()]).toEqual(["/r", ["", "pipe:[1]", ""], ["/d"], ["/f"]]);
  expect([...r.bytes()]).toEqual([6]);
  r.end();
});
