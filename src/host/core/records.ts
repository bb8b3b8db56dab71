import { VigilError } from "../../base/errors.js";
import type { Fact } from "../../task/facts.js";
import { Reader } from "./reader.js";

/** The records of native/include/vigil.h that come from the core, decoded. */

export const abiVersion = 1;
export const headerBytes = 24;
export const recordMax = 16 << 20;

export interface Hello {
  readonly kind: "hello";
  readonly abi: number;
  readonly bootId: string;
  readonly epoch: number;
  readonly namespace: string;
  readonly group: string;
  readonly ttrpcAddress: string;
  readonly grpcAddress: string;
  readonly containerdBinary: string;
  readonly bundle: string;
  readonly stateDirectory: string;
  /** Nanoseconds since 1970. */
  readonly birth: bigint;
  readonly daemonRestarts: number;
  readonly corePid: number;
  readonly address: string;
  readonly startOptions: Uint8Array;
  readonly debug: boolean;
}

export interface RequestRecord {
  readonly kind: "request";
  readonly key: string;
  /** 0: a held gRPC request. */
  readonly connection: bigint;
  readonly ageNs: bigint;
  readonly deliveries: number;
  readonly begun: boolean;
  readonly data: Uint8Array;
}

export type CoreRecord =
  | Hello
  | { readonly kind: "state"; readonly container: string; readonly blob: Uint8Array }
  | { readonly kind: "kept"; readonly key: string; readonly reply: Uint8Array }
  | { readonly kind: "outbox"; readonly seq: bigint; readonly fact: bigint; readonly entry: Uint8Array }
  | { readonly kind: "fact"; readonly fact: Fact }
  | RequestRecord
  | { readonly kind: "synced" }
  | ResultRecord
  | { readonly kind: "closed"; readonly connection: bigint }
  | { readonly kind: "connection"; readonly tag: bigint }
  | { readonly kind: "committed"; readonly key: string; readonly firstSeq: bigint }
  | { readonly kind: "terminate"; readonly signal: number };

export interface ResultRecord {
  readonly kind: "result";
  readonly key: string;
  /** 0 or -errno. */
  readonly status: number;
  readonly op: number;
  readonly message: string;
  readonly data: Uint8Array;
}

function readFact(r: Reader): Fact {
  const seq = r.u64();
  const kind = r.u8();
  const container = r.str();
  switch (kind) {
    case 1:
      return { kind: "created", seq, container, pid: r.u32(), at: r.u64() };
    case 2:
      return { kind: "started", seq, container, exec: r.str(), pid: r.u32(), at: r.u64() };
    case 3:
      return {
        kind: "oom",
        seq,
        container,
        kills: r.u64(),
        total: r.u64(),
        at: r.u64(),
        monotonic: r.u64(),
        held: r.list((item) => ({ path: item.text(), before: item.text(), after: item.text() })),
        snapshot: r.list((item) => ({ path: item.text(), text: item.text() })),
        lines: r.list((item) => item.text()),
        last: r.bool(),
        initPid: r.u32(),
        execs: r.list((item) => ({ exec: item.str(), pid: item.u32() })),
      };
    case 4:
      return {
        kind: "exited",
        seq,
        container,
        exec: r.str(),
        pid: r.u32(),
        status: r.u32(),
        signal: r.u32(),
        at: r.u64(),
        maxRssBytes: r.u64(),
        started: r.bool(),
      };
    default:
      throw new RangeError(`unknown fact ${kind}`);
  }
}

// Object literals are evaluated in the order written, so each of these reads its payload in the order of vigil.h.
const readers: Readonly<Record<number, (r: Reader) => CoreRecord>> = {
  1: (r) => ({
    kind: "hello",
    abi: r.u32(),
    bootId: r.str(),
    epoch: r.u32(),
    namespace: r.str(),
    group: r.str(),
    ttrpcAddress: r.str(),
    grpcAddress: r.str(),
    containerdBinary: r.str(),
    bundle: r.str(),
    stateDirectory: r.str(),
    birth: r.u64(),
    daemonRestarts: r.u32(),
    corePid: r.u32(),
    address: r.str(),
    startOptions: r.bytes(),
    debug: r.bool(),
  }),
  2: (r) => ({ kind: "state", container: r.str(), blob: r.bytes() }),
  3: (r) => ({ kind: "kept", key: r.str(), reply: r.bytes() }),
  4: (r) => ({ kind: "outbox", seq: r.u64(), fact: r.u64(), entry: r.bytes() }),
  5: (r) => ({ kind: "fact", fact: readFact(r) }),
  6: (r) => ({
    kind: "request",
    key: r.str(),
    connection: r.u64(),
    ageNs: r.u64(),
    deliveries: r.u32(),
    begun: r.bool(),
    data: r.bytes(),
  }),
  7: () => ({ kind: "synced" }),
  8: (r) => ({ kind: "result", key: r.str(), status: r.i32(), op: r.u32(), message: r.text(), data: r.bytes() }),
  9: (r) => ({ kind: "closed", connection: r.u64() }),
  10: (r) => ({ kind: "connection", tag: r.u64() }),
  11: (r) => ({ kind: "committed", key: r.str(), firstSeq: r.u64() }),
  12: (r) => ({ kind: "terminate", signal: r.u32() }),
};

export function decodeRecord(type: number, payload: Uint8Array): CoreRecord {
  const read = readers[type];
  if (!read) throw new VigilError("internal", `the core sent a record of unknown type ${type}`);
  try {
    const reader = new Reader(payload);
    const record = read(reader);
    reader.end();
    return record;
  } catch (error) {
    throw new VigilError("internal", `malformed record of type ${type} from the core`, { cause: error });
  }
}
