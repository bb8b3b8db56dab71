// A profile compiled by libseccomp, asked what it does with system calls by a small interpreter of the kernel's classic BPF.
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { checkSeccomp } from "../../../src/host/oci/spec.js";
import { compileSeccomp } from "../../../src/host/runtime/seccomp.js";
import { skipWithoutLibrary } from "../../support/library.js";

const numbers = {
  x64: { read: 0, getpid: 39, kexec_load: 246, personality: 135 },
  arm64: { read: 63, getpid: 172, kexec_load: 104, personality: 92 },
};
const auditArch = { x64: 0xc000003e, arm64: 0xc00000b7 };
const machine = process.arch === "arm64" ? "arm64" : "x64";
const calls = numbers[machine];

const ALLOW = 0x7fff0000;
const errno = (number: number) => 0x00050000 | number;

/** seccomp(2): the program sees struct seccomp_data {nr, arch, instruction_pointer, args[6]}. linux/bpf_common.h */
function run(
  program: Uint8Array,
  call: number,
  args: readonly bigint[] = [],
  architecture = auditArch[machine],
): number {
  const data = Buffer.alloc(64);
  data.writeInt32LE(call, 0);
  data.writeUInt32LE(architecture, 4);
  for (const [index, arg] of args.entries()) data.writeBigUInt64LE(arg, 16 + 8 * index);
  const code = Buffer.from(program);
  let a = 0;
  for (let pc = 0; pc * 8 < code.length; pc++) {
    const at = pc * 8;
    const [op, jt, jf, k] = [
      code.readUInt16LE(at),
      code.readUInt8(at + 2),
      code.readUInt8(at + 3),
      code.readUInt32LE(at + 4),
    ];
    const jump = (taken: boolean) => {
      pc += taken ? jt : jf;
    };
    if (op === 0x20) a = data.readUInt32LE(k);
    else if (op === 0x05) pc += k;
    else if (op === 0x15) jump(a === k);
    else if (op === 0x25) jump(a > k);
    else if (op === 0x35) jump(a >= k);
    else if (op === 0x45) jump((a & k) >>> 0 !== 0);
    else if (op === 0x54) a = (a & k) >>> 0;
    else if (op === 0x06) return k;
    else throw new Error(`instruction ${op.toString(16)} at ${pc}`);
  }
  throw new Error("ran off the end");
}

const compile = (profile: object) => compileSeccomp(checkSeccomp(profile, "p"));

describe.skipIf(skipWithoutLibrary("libseccomp.so.2"))("with libseccomp", () => {
  describe("the profile of ctr run --seccomp", () => {
    const profile = JSON.parse(
      readFileSync(new URL("../../fixtures/bundle/seccomp-ctr-1.7.json", import.meta.url), "utf8"),
    );
    let program: Uint8Array;
    beforeAll(async () => {
      const filter = await compile(profile);
      program = filter.program;
      expect(filter.flags).toBe(4);
    });

    test("allows what programs need", () => {
      expect(run(program, calls.read)).toBe(ALLOW);
      expect(run(program, calls.getpid)).toBe(ALLOW);
    });
    test("forbids what changes the host", () => {
      expect(run(program, calls.kexec_load)).toBe(errno(1));
    });
    test("a call newer than the profile is unknown, not forbidden: C libraries then use an older one", () => {
      expect(run(program, 100_000)).toBe(errno(38));
    });
    test.runIf(machine === "x64")("so it is for the other ways into the same kernel", () => {
      const i386 = 0x40000003;
      const x32Bit = 0x40000000;
      expect(run(program, 20, [], i386)).toBe(ALLOW); // getpid
      expect(run(program, 5_000, [], i386)).toBe(errno(38));
      expect(run(program, x32Bit + 39)).toBe(ALLOW);
      expect(run(program, x32Bit + 5_000)).toBe(errno(38));
    });
    test("looks at arguments: one of several personalities", () => {
      expect(run(program, calls.personality, [0n])).toBe(ALLOW);
      expect(run(program, calls.personality, [8n])).toBe(ALLOW);
      expect(run(program, calls.personality, [1n])).toBe(errno(1));
    });
  });

  test("where calls are allowed unless named, newer ones are too; where ENOSYS is the answer there is nothing to add", async () => {
    const rule = { names: ["kexec_load"], action: "SCMP_ACT_ERRNO" };
    const open = await compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] });
    expect(run(open.program, 100_000)).toBe(ALLOW);
    const plain = { defaultAction: "SCMP_ACT_ERRNO", syscalls: [{ names: ["read"], action: "SCMP_ACT_ALLOW" }] };
    const short = await compile({ ...plain, defaultErrnoRet: 38 });
    const long = await compile({ ...plain, defaultErrnoRet: 1 });
    expect(long.program.length).toBe(short.program.length + 5 * 8);
  });

  test("error numbers, conditions, masks, and names that nobody knows", async () => {
    const { program, flags } = await compile({
      defaultAction: "SCMP_ACT_ALLOW",
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      syscalls: [
        { names: ["kexec_load", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 38 },
        {
          names: ["read"],
          action: "SCMP_ACT_KILL_PROCESS",
          args: [{ index: 2, value: 0xf0, valueTwo: 0x10, op: "SCMP_CMP_MASKED_EQ" }],
        },
        {
          names: ["getpid"],
          action: "SCMP_ACT_ERRNO",
          args: [
            { index: 0, value: 3, op: "SCMP_CMP_EQ" },
            { index: 0, value: 5, op: "SCMP_CMP_EQ" },
          ],
        },
      ],
    });
    expect(flags).toBe(2);
    expect(run(program, calls.kexec_load)).toBe(errno(38));
    expect(run(program, calls.read, [0n, 0n, 0x1fn])).toBe(0x80000000);
    expect(run(program, calls.read, [0n, 0n, 0x2fn])).toBe(ALLOW);
    expect([3n, 5n, 4n].map((arg) => run(program, calls.getpid, [arg]))).toEqual([errno(1), errno(1), ALLOW]);
  });

  test("other architectures of the machine", async () => {
    const architectures =
      machine === "x64" ? ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] : ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];
    const { program } = await compile({ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 13, architectures });
    expect(run(program, calls.read)).toBe(errno(13));
  });

  test.runIf(machine === "x64")("each named architecture has the profile, others are killed", async () => {
    const getpid = { names: ["getpid"], action: "SCMP_ACT_ERRNO", errnoRet: 7 };
    const profile = { defaultAction: "SCMP_ACT_ALLOW", syscalls: [getpid] };
    const i386 = 0x40000003;
    const both = await compile({ ...profile, architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"] });
    expect([run(both.program, 39), run(both.program, 20, [], i386)]).toEqual([errno(7), errno(7)]);
    const one = await compile(profile);
    expect(run(one.program, 20, [], i386)).toBe(0);
  });

  test.each([
    ["SCMP_ACT_KILL", 0],
    ["SCMP_ACT_KILL_THREAD", 0],
    ["SCMP_ACT_KILL_PROCESS", 0x80000000],
    ["SCMP_ACT_TRAP", 0x00030000],
    ["SCMP_ACT_ERRNO", 0x00050001],
    ["SCMP_ACT_TRACE", 0x7ff00001],
    ["SCMP_ACT_LOG", 0x7ffc0000],
    ["SCMP_ACT_NOTIFY", 0x7fc00000],
  ])("%s", async (action, value) => {
    const notify = action === "SCMP_ACT_NOTIFY" ? { listenerPath: "/run/agent" } : {};
    const rule = { names: ["kexec_load"], action };
    const { program } = await compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule], ...notify });
    expect(run(program, calls.kexec_load)).toBe(value);
    expect(run(program, calls.read)).toBe(ALLOW);
    if (action === "SCMP_ACT_NOTIFY") return;
    // A call with a higher number than any named one would be unknown.
    const allowed = { names: ["kexec_load"], action: "SCMP_ACT_ALLOW" };
    const other = await compile({ defaultAction: action, syscalls: [allowed] });
    expect(run(other.program, calls.read)).toBe(value);
    expect(run(other.program, calls.kexec_load)).toBe(ALLOW);
  });

  test("error numbers of the default and of a tracer", async () => {
    const { program } = await compile({
      defaultAction: "SCMP_ACT_TRACE",
      defaultErrnoRet: 9,
      syscalls: [{ names: ["read"], action: "SCMP_ACT_TRACE", errnoRet: 8 }],
    });
    expect([run(program, calls.getpid), run(program, calls.read)]).toEqual([0x7ff00009, 0x7ff00008]);
  });

  test.each([
    ["SCMP_CMP_NE", [4n, 6n]],
    ["SCMP_CMP_LT", [4n]],
    ["SCMP_CMP_LE", [4n, 5n]],
    ["SCMP_CMP_EQ", [5n]],
    ["SCMP_CMP_GE", [5n, 6n]],
    ["SCMP_CMP_GT", [6n]],
  ])("%s", async (op, hits) => {
    const rule = { names: ["read"], action: "SCMP_ACT_ERRNO", args: [{ index: 5, value: 5, op }] };
    const { program } = await compile({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [rule] });
    const args = (last: bigint) => [0n, 0n, 0n, 0n, 0n, last];
    for (const value of [4n, 5n, 6n]) {
      expect(run(program, calls.read, args(value)), `${value}`).toBe(hits.includes(value) ? errno(1) : ALLOW);
    }
    // All 64 bits are compared.
    const high = run(program, calls.read, args((1n << 32n) | 5n));
    expect(high).toBe(["SCMP_CMP_NE", "SCMP_CMP_GE", "SCMP_CMP_GT"].includes(op) ? errno(1) : ALLOW);
  });

  test("flags, as the kernel takes them with and without a listener", async () => {
    const flags = ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"].map((name) => `SECCOMP_FILTER_FLAG_${name}`);
    const profile = { defaultAction: "SCMP_ACT_ALLOW", flags };
    expect((await compile(profile)).flags).toBe(1 | 2 | 4);
    const rule = { names: ["kexec_load"], action: "SCMP_ACT_NOTIFY" };
    const notifying = { ...profile, syscalls: [rule], listenerPath: "/run/agent", listenerMetadata: "m" };
    expect(await compile(notifying)).toMatchObject({ flags: 2 | 4 | 32, agent: { path: "/run/agent", metadata: "m" } });
    expect((await compile({ defaultAction: "SCMP_ACT_ALLOW", flags: [] })).flags).toBe(0);
  });

  test("an agent that is not needed is not asked", async () => {
    expect((await compile({ defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/run/agent" })).agent).toBeUndefined();
  });

  test("an architecture that there is not", async () => {
    await expect(compile({ defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_PDP11"] })).rejects.toThrow(
      /linux.seccomp.architectures\[0\]: "SCMP_ARCH_PDP11"/,
    );
  });
});

const notifying = (names: string[]) => ({
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [{ names, action: "SCMP_ACT_NOTIFY" }],
});

test.each([
  [{ defaultAction: "SCMP_ACT_MAYBE" }, "invalid_argument", "config.json: linux.seccomp.defaultAction"],
  [{ defaultAction: "SCMP_ACT_NOTIFY", listenerPath: "/a" }, "invalid_argument", "linux.seccomp.defaultAction"],
  [notifying(["mkdir"]), "invalid_argument", 'linux.seccomp.listenerPath: "" is not an absolute path'],
  [{ ...notifying(["read", "sendmsg"]), listenerPath: "/a" }, "invalid_argument", "linux.seccomp.syscalls[0]"],
  [
    { defaultAction: "SCMP_ACT_ALLOW", listenerMetadata: "m" },
    "invalid_argument",
    "linux.seccomp.listenerMetadata: there is no listenerPath",
  ],
  [
    { defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 },
    "invalid_argument",
    "linux.seccomp.defaultAction: SCMP_ACT_ALLOW takes no error number",
  ],
  [{ defaultAction: "SCMP_ACT_ALLOW", flags: ["X"] }, "invalid_argument", "linux.seccomp.flags[0]"],
  [{ defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 5000 }, "invalid_argument", "5000 is not an error number"],
])("%j is refused", async (profile, code, words) => {
  await expect(compile(profile)).rejects.toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(words) }),
  );
});
