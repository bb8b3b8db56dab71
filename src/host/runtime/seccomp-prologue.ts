/** linux/bpf_common.h */
const load = 0x20; // BPF_LD | BPF_W | BPF_ABS
const jumpEqual = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const jumpGreater = 0x25; // BPF_JMP | BPF_JGT | BPF_K
const jumpGreaterOrEqual = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const giveBack = 0x06; // BPF_RET | BPF_K

/** struct seccomp_data */
const numberOffset = 0;
const architectureOffset = 4;

const noSuchCall = 0x0005_0000 | 38; // SECCOMP_RET_ERRNO with ENOSYS

// x32 is x86-64 to the kernel, told apart by a bit of the call's number; libseccomp has a token of its own for it.
const x8664 = 0xc000_003e;
const x32 = 0x4000_003e;
const x32Bit = 0x4000_0000;

type Instruction = readonly [code: number, whenTrue: number, whenFalse: number, k: number];

function block(architecture: number, last: number, lastX32: number | undefined): Instruction[] {
  const test: Instruction[] =
    lastX32 === undefined
      ? [[jumpGreater, 0, 1, last]]
      : [
          [jumpGreaterOrEqual, 1, 0, x32Bit],
          [jumpGreater, 1, 2, last],
          [jumpGreater, 0, 1, lastX32],
        ];
  return [
    [load, 0, 0, architectureOffset],
    [jumpEqual, 0, test.length + 2, architecture],
    [load, 0, 0, numberOffset],
    ...test,
    [giveBack, 0, 0, noSuchCall],
  ];
}

/**
 * Instructions that go before a filter: a call with a higher number than any that the profile names is answered ENOSYS. A
 * profile written before a call existed would answer EPERM, and C libraries fall back to older calls on ENOSYS alone; runc
 * does the same.
 *
 * @param last the highest call number that the profile names, by architecture
 */
export function unknownCallsPrologue(last: ReadonlyMap<number, number>): Uint8Array {
  const instructions = [...last].flatMap(([architecture, number]) => {
    if (architecture === x32 || number < 0) return [];
    return block(architecture, number, architecture === x8664 ? last.get(x32) : undefined);
  });
  const program = Buffer.alloc(instructions.length * 8);
  instructions.forEach(([code, whenTrue, whenFalse, k], index) => {
    program.writeUInt16LE(code, index * 8);
    program.writeUInt8(whenTrue, index * 8 + 2);
    program.writeUInt8(whenFalse, index * 8 + 3);
    program.writeUInt32LE(k, index * 8 + 4);
  });
  return program;
}
