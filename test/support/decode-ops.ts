// Reads encoded ops with the core's own tables, so that both sides are held to one contract: codes from vigil.h, payload
// signatures from the table of native/runtime/op_shapes.c (its letters are explained in native/runtime/ops.h).
import { readFileSync } from "node:fs";
import { Reader } from "../../src/host/core/reader.js";

const native = new URL("../../native/", import.meta.url);

export interface OpShape {
  /** As in vigil.h, without its prefix: CGROUP_MKDIR. */
  readonly name: string;
  readonly code: number;
  readonly signature: string;
}

export function opShapes(): Map<number, OpShape> {
  const header = readFileSync(new URL("include/vigil.h", native), "utf8");
  const table = readFileSync(new URL("runtime/op_shapes.c", native), "utf8");
  const codes = new Map(
    [...header.matchAll(/\bVG_OP_([A-Z_]+) = ([0-9]+)/g)].map(([, name, code]) => [name, Number(code)]),
  );
  const shapes = [...table.matchAll(/\{VG_OP_([A-Z_]+), "([^"]*)",/g)].map(([, name = "", signature = ""]) => {
    const code = codes.get(name);
    if (code === undefined) throw new Error(`vigil.h has no VG_OP_${name}`);
    return [code, { name, code, signature }] as const;
  });
  return new Map(shapes);
}

export type OpArgument = number | bigint | string | OpArgument[] | Uint8Array;

function list(reader: Reader, each: () => OpArgument): OpArgument[] {
  return Array.from({ length: reader.u32() }, each);
}

const readers: Record<string, (reader: Reader) => OpArgument> = {
  "1": (r) => r.u8(),
  "2": (r) => r.u16(),
  "4": (r) => r.u32(),
  "8": (r) => r.u64(),
  s: (r) => r.str(),
  b: (r) => r.bytes(),
  S: (r) => list(r, () => r.str()),
  N: (r) => list(r, () => r.u32()),
  T: (r) => list(r, () => [r.str(), r.str(), r.str()]),
};

export interface DecodedOp {
  readonly name: string;
  readonly optional: boolean;
  readonly args: OpArgument[];
}

export function decodeOps(encoded: Uint8Array): DecodedOp[] {
  const shapes = opShapes();
  const bytes = Buffer.from(encoded);
  const ops: DecodedOp[] = [];
  // u16 op, u16 flags, u32 length, payload
  for (let at = 0; at < bytes.length; ) {
    const shape = shapes.get(bytes.readUInt16LE(at));
    const flags = bytes.readUInt16LE(at + 2);
    const length = bytes.readUInt32LE(at + 4);
    const payload = new Reader(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
    if (!shape || flags > 1) throw new Error(`not an op: ${shape?.name}, flags ${flags}`);
    const args = [...shape.signature].map((letter) => {
      const read = readers[letter];
      if (!read) throw new Error(`${shape.name}: no reader for ${letter}`);
      return read(payload);
    });
    payload.end();
    ops.push({ name: shape.name, optional: flags === 1, args });
  }
  return ops;
}

/** Text as it is; what is none, such as a program, by its size. */
function showBytes(bytes: Buffer): string {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? JSON.stringify(text) : `<${bytes.length} bytes>`;
}

/** One op a line, for golden plans: numbers as they are, flags in hex, "?" for an optional one. */
export function showOps(encoded: Uint8Array): string[] {
  const show = (argument: OpArgument): string => {
    if (argument instanceof Uint8Array) return showBytes(Buffer.from(argument));
    if (Array.isArray(argument)) return `[${argument.map(show).join(" ")}]`;
    if (typeof argument === "bigint") return `0x${argument.toString(16)}`;
    return typeof argument === "string" ? JSON.stringify(argument) : String(argument);
  };
  return decodeOps(encoded).map(({ name, optional, args }) =>
    [name + (optional ? "?" : ""), ...args.map(show)].join(" "),
  );
}
