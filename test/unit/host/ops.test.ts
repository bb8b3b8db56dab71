import { expect, test } from "vitest";
import * as ops from "../../../src/host/core/ops.js";
import { decodeOps, opShapes } from "../../support/decode-ops.js";

const upper = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();

test("every op has the code of vigil.h, and there are no others", () => {
  const ours = Object.entries(ops.opCodes).map(([name, code]) => [upper(name), code]);
  const theirs = [...opShapes().values()].map(({ name, code }) => [name, code]);
  expect(ours.sort()).toEqual(theirs.sort());
});

const sets = { bounding: 1n, effective: 2n, inheritable: 4n, permitted: 8n, ambient: 1n << 40n };
const node = { path: "/dev/x", type: "b", major: 8, minor: 1, mode: 0o640, uid: 1, gid: 2 } as const;
const hostMount = { type: "t", source: "s", root: "/r", target: "/", flags: 1n, propagation: 1n << 18n, data: "d" };
const childMount = { type: "t", source: "s", target: "/m", flags: 1n, clear: 2n, propagation: 4n, data: "d" };
const entry = { name: "cpu,cpuacct", hostDirectory: "/sys/fs/cgroup/cpu,cpuacct/x", options: "cpu,cpuacct" };
const program = { name: "n", path: "/p", argv: ["p"], env: ["A=b"], timeoutMs: 7, directory: "/d" };

test.each<[ops.Op, unknown[]]>([
  [ops.cgroupMkdir("/r", "/r/a"), ["/r", "/r/a"]],
  [ops.cgroupInherit("/r", "/r/a", "cpuset.cpus"), ["/r", "/r/a", "cpuset.cpus"]],
  [ops.cgroupEmpty("/r"), ["/r"]],
  [ops.write("/f", "max 1"), ["/f", Buffer.from("max 1")]],
  [ops.cgroupKill(["/a", "/b"]), [["/a", "/b"]]],
  [ops.cgroupSignal("/a", 15), ["/a", 15]],
  [ops.cgroupFreeze(2, "/a", true, 10_000), [2, "/a", 1, 10_000]],
  [ops.cgroupDevices("/a", new Uint8Array([1, 2])), ["/a", Buffer.from([1, 2])]],
  [ops.cgroupRemove("/a", 5), ["/a", 5]],
  [ops.mount(hostMount), ["t", "s", "/r", "/", 1n, 1n << 18n, "d"]],
  [ops.umountTree("/a"), ["/a"]],
  [ops.mkdir("/a", 0o711), ["/a", 0o711]],
  [ops.unlink("/a"), ["/a"]],
  [
    ops.criu({ program: "criu", request: 1, options: new Uint8Array([1]), images: "/i", work: "/w", timeoutMs: 7 }),
    ["criu", 1, Buffer.from([1]), "/i", "/w", 7],
  ],
  [ops.unshareCgroup(), []],
  [ops.hostname("h"), ["h"]],
  [ops.domainname("d"), ["d"]],
  [ops.sysctl("net.x", "1"), ["net.x", "1"]],
  [ops.rootPropagation(1n << 19n), [1n << 19n]],
  [ops.rootfs("/r"), ["/r"]],
  [ops.bindOrMount({ ...childMount, sourceIsHostPath: true }), ["t", "s", "/m", 1n, 2n, 4n, "d", 1]],
  [ops.cgroupMount(1, "/c", 1n, [entry]), [1, "/c", 1n, [[entry.name, entry.hostDirectory, entry.options]]]],
  [ops.device(node), ["/dev/x", 98, 8, 1, 0o640, 1, 2]],
  [ops.symlink("to", "/at"), ["to", "/at"]],
  [ops.consoleTerminal(80, 24), [80, 24]],
  [ops.pivot(true, 1n), [1, 1n]],
  [ops.readonlyRoot(), []],
  [ops.mask("/a"), ["/a"]],
  [ops.readonlyPath("/a"), ["/a"]],
  [ops.rlimit(7, 1n, 2n ** 64n - 1n), [7, 1n, 2n ** 64n - 1n]],
  [ops.oomScoreAdj(-999), [2 ** 32 - 999]],
  [ops.newKeyring("k"), ["k"]],
  [ops.umask(0o22), [0o22]],
  [ops.user(1, 2, [3, 4]), [1, 2, [3, 4]]],
  [ops.capabilities(sets), [1n, 2n, 4n, 8n, 1n << 40n]],
  [ops.noNewPrivs(), []],
  [ops.seccomp(new Uint8Array([1, 2]), 4), [Buffer.from([1, 2]), 4]],
  [ops.cwd("/a"), ["/a"]],
  [ops.waitStart(), []],
  [ops.exec(["a", "ü"], []), [["a", "ü"], []]],
  [ops.find(["a"], ["A=b"]), [["a"], ["A=b"]]],
  [ops.bringUpLoopback(), []],
  [ops.hook(program, "s"), ["n", "/p", ["p"], ["A=b"], 7, "/d", "s"]],
  [ops.runtimeHook(program, "s", "t"), ["n", "/p", ["p"], ["A=b"], 7, "/d", "s", "t"]],
  [ops.containerHook(program, "s", "t"), ["n", "/p", ["p"], ["A=b"], 7, "/d", "s", "t"]],
  [ops.initialCpuAffinity(new Uint8Array([1])), [Buffer.from([1])]],
  [
    ops.scheduler({ policy: 6, flags: 1n, nice: -3, priority: 2, runtime: 4n, deadline: 5n, period: 6n }),
    [6, 1n, 2 ** 32 - 3, 2, 4n, 5n, 6n],
  ],
  [ops.ioPriority(2, 7), [2, 7]],
  [ops.personality(8n), [8n]],
  [ops.memoryPolicy(3, new Uint8Array([1])), [3, Buffer.from([1])]],
  [ops.processLabel("a/exec", "exec", "x"), ["a/exec", "exec", "x"]],
  [ops.detach("/a"), ["/a"]],
  [ops.root("/a"), ["/a"]],
  [ops.chroot(), []],
  [ops.ownOomScore(-5), [2 ** 32 - 5]],
  [ops.awaitEnd(7, 8n, 9), [7, 8n, 9]],
  [ops.userMapUnprivileged({ maps: ["0 1 1\n", "0 2 1\n"], programs: ["", "/g"] }), ["0 1 1\n", "0 2 1\n", "", "/g"]],
  [ops.seccompNotify(new Uint8Array([1]), 2, "/a", ["x", "y"]), [Buffer.from([1]), 2, "/a", ["x", "y"]]],
  [ops.fileLabel("/p", "l"), ["/p", "l"]],
  [ops.cpuAffinity(new Uint8Array([1])), [Buffer.from([1])]],
])("$name is read by the core's table as it was written", (op, args) => {
  const plain = JSON.parse(JSON.stringify(args, (_, value) => (typeof value === "bigint" ? `${value}n` : value)));
  const [decoded] = decodeOps(ops.encodeOps([op]));
  expect(decoded?.name).toBe(upper(op.name));
  expect(
    JSON.parse(JSON.stringify(decoded?.args, (_, value) => (typeof value === "bigint" ? `${value}n` : value))),
  ).toEqual(plain);
});

test("a list keeps the order and says which may fail", () => {
  const encoded = ops.encodeOps([ops.mask("/a"), ops.optional(ops.mask("/b")), ops.noNewPrivs()]);
  expect(decodeOps(encoded).map(({ name, optional }) => [name, optional])).toEqual([
    ["MASK", false],
    ["MASK", true],
    ["NO_NEW_PRIVS", false],
  ]);
});

test("a string with a zero byte is refused, as the core would cut it there", () => {
  expect(() => ops.mask("/etc\0/x")).toThrow(/zero byte/);
});
