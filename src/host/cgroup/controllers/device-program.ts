import type { DeviceAccess } from "./devices.js";

// include/uapi/linux/bpf.h, and the instruction set of Documentation/bpf/standardization/instruction-set.rst.
const opcode = {
  loadWord: 0x61,
  moveRegister: 0xbf,
  moveNumber: 0xb7,
  andNumber: 0x57,
  shiftRight: 0x77,
  /** On the low 32 bits. */
  jumpUnequal: 0x56,
  jumpEqual: 0x16,
  exit: 0x95,
} as const;

/** struct bpf_cgroup_dev_ctx: access in the upper half of its first word, the kind of device in the lower one. */
const context = { accessAndType: 0, major: 4, minor: 8 } as const;
const typeCodes = { b: 1, c: 2 } as const;
const accessBits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const allBits = 7;

/** Where the program keeps things; the context comes in the second, the verdict goes out in the first. */
const register = { verdict: 0, context: 1, type: 2, wanted: 3, major: 4, minor: 5, part: 6 } as const;
const verdicts = { deny: 0, allow: 1 } as const;

type Instruction = readonly [code: number, target: number, source: number, offset: number, number: number];

const load = (target: number, offset: number): Instruction => [opcode.loadWord, target, register.context, offset, 0];
const withNumber = (code: number, target: number, number: number): Instruction => [code, target, 0, 0, number];
const leave = (verdict: number): Instruction[] => [
  withNumber(opcode.moveNumber, register.verdict, verdict),
  [opcode.exit, 0, 0, 0, 0],
];

const prologue: readonly Instruction[] = [
  load(register.wanted, context.accessAndType),
  [opcode.moveRegister, register.type, register.wanted, 0, 0],
  withNumber(opcode.andNumber, register.type, 0xffff),
  withNumber(opcode.shiftRight, register.wanted, 16),
  load(register.major, context.major),
  load(register.minor, context.minor),
];

/** One rule: unless it speaks of this device the next one is asked. Jumps count from the instruction after them. */
function block({ allow, type, major, minor, access }: DeviceAccess): Instruction[] {
  if (type === "a") return leave(allow ? verdicts.allow : verdicts.deny);
  const bits = [...access].reduce((all, letter) => all | (accessBits[letter] ?? 0), 0);
  // Allowed is what the rules allow together, each its part; one part that is denied denies all.
  const body: Instruction[] = allow
    ? [withNumber(opcode.andNumber, register.wanted, allBits & ~bits), [opcode.jumpUnequal, register.wanted, 0, 2, 0]]
    : [
        [opcode.moveRegister, register.part, register.wanted, 0, 0],
        withNumber(opcode.andNumber, register.part, bits),
        [opcode.jumpEqual, register.part, 0, 2, 0],
      ];
  const decided = [...body, ...leave(allow ? verdicts.allow : verdicts.deny)];
  const number = (target: number, value: bigint | undefined) =>
    value === undefined ? [] : [{ target, number: Number(value) }];
  const conditions = [
    { target: register.type, number: typeCodes[type] },
    ...number(register.major, major),
    ...number(register.minor, minor),
  ];
  const checks = conditions.map(({ target, number }, at): Instruction => {
    const behind = decided.length + conditions.length - 1 - at;
    return [opcode.jumpUnequal, target, 0, behind, number | 0];
  });
  return [...checks, ...decided];
}

function encode(instructions: readonly Instruction[]): Uint8Array {
  const bytes = Buffer.alloc(instructions.length * 8);
  for (const [at, [code, target, source, offset, number]] of instructions.entries()) {
    bytes.writeUInt8(code, at * 8);
    bytes.writeUInt8(target | (source << 4), at * 8 + 1);
    bytes.writeInt16LE(offset, at * 8 + 2);
    bytes.writeInt32LE(number, at * 8 + 4);
  }
  return bytes;
}

/**
 * The rules as an eBPF program of the type CGROUP_DEVICE, which version 2 asks at each open and mknod: from the last rule to the
 * first, as the last one that speaks of an access counts. Undefined when everything is allowed, for which no program is needed.
 */
export function compileDeviceProgram(rules: readonly DeviceAccess[]): Uint8Array | undefined {
  const start = rules.findLastIndex(({ type }) => type === "a");
  const counting = rules.slice(Math.max(start, 0)).reverse();
  if (start >= 0 && counting.every(({ allow }) => allow)) return undefined;
  const end = start >= 0 ? [] : leave(verdicts.deny);
  return encode([...prologue, ...counting.flatMap(block), ...end]);
}
