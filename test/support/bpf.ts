// As much of an eBPF machine as device programs need (Documentation/bpf/standardization/instruction-set.rst).

export interface DeviceRequest {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  /** Of r, w, m. */
  readonly access: string;
}

const bits: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };

/** Whether the kernel would grant it. Throws on what the verifier would not take: other instructions, jumps back or out. */
export function runDeviceProgram(program: Uint8Array, request: DeviceRequest): boolean {
  const code = Buffer.from(program);
  const access = [...request.access].reduce((all, letter) => all | (bits[letter] ?? 0), 0);
  const words = [((access << 16) | (request.type === "b" ? 1 : 2)) >>> 0, request.major, request.minor];
  const registers = Array.from({ length: 10 }, () => 0);
  for (let at = 0; ; at++) {
    if (at < 0 || (at + 1) * 8 > code.length) throw new Error(`the program leaves itself at ${at}`);
    const pair = code.readUInt8(at * 8 + 1);
    const [target, source] = [pair & 15, pair >> 4];
    const offset = code.readInt16LE(at * 8 + 2);
    const number = code.readInt32LE(at * 8 + 4);
    const value = registers[target] ?? 0;
    const set = (result: number) => {
      registers[target] = result;
    };
    const jump = (taken: boolean) => {
      if (offset < 0) throw new Error(`a jump back at ${at}`);
      if (taken) at += offset;
    };
    switch (code.readUInt8(at * 8)) {
      case 0x61:
        if (source !== 1 || offset % 4 !== 0) throw new Error(`a load from elsewhere at ${at}`);
        set(words[offset / 4] ?? Number.NaN);
        break;
      case 0xbf:
        set(registers[source] ?? 0);
        break;
      case 0xb7:
        set(number);
        break;
      case 0x57:
        set(value & number);
        break;
      case 0x77:
        set(value >>> number);
        break;
      case 0x56:
        jump(value >>> 0 !== number >>> 0);
        break;
      case 0x16:
        jump(value >>> 0 === number >>> 0);
        break;
      case 0x95:
        return registers[0] === 1;
      default:
        throw new Error(`instruction ${code.subarray(at * 8, at * 8 + 8).toString("hex")} at ${at}`);
    }
  }
}
