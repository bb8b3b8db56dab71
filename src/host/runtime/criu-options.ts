import { BinaryWriter } from "@bufbuild/protobuf/wire";

/** What CRIU is asked for: `criu_opts` of its images/rpc.proto, with the fields that are used here. */
export interface CriuOptions {
  readonly pid?: number;
  readonly leaveRunning?: boolean;
  readonly extUnixSk?: boolean;
  readonly tcpEstablished?: boolean;
  readonly evasiveDevices?: boolean;
  readonly shellJob?: boolean;
  readonly fileLocks?: boolean;
  readonly logLevel?: number;
  readonly logFile?: string;
  readonly notifyScripts?: boolean;
  readonly root?: string;
  readonly manageCgroups?: boolean;
  readonly manageCgroupsMode?: number;
  readonly emptyNs?: number;
  readonly freezeCgroup?: string;
  readonly orphanPtsMaster?: boolean;
  readonly external?: readonly string[];
  readonly extMnt?: readonly (readonly [key: string, value: string])[];
  readonly cgRoot?: readonly (readonly [controller: string, path: string])[];
}

const numbers: Readonly<Record<keyof CriuOptions, number>> = {
  pid: 2,
  leaveRunning: 3,
  extUnixSk: 4,
  tcpEstablished: 5,
  evasiveDevices: 6,
  shellJob: 7,
  logLevel: 9,
  fileLocks: 8,
  logFile: 10,
  notifyScripts: 12,
  root: 13,
  extMnt: 23,
  manageCgroups: 24,
  cgRoot: 25,
  manageCgroupsMode: 34,
  external: 37,
  emptyNs: 38,
  freezeCgroup: 44,
  orphanPtsMaster: 50,
};

/** `enum criu_cg_mode`, in the words of CRIU's --manage-cgroups. */
export const cgroupModes: ReadonlyMap<string, number> = new Map([
  ["ignore", 0],
  ["none", 1],
  ["props", 2],
  ["soft", 3],
  ["full", 4],
  ["strict", 5],
]);

/** `enum criu_req_type` */
export const criuRequests = { dump: 1, restore: 2 } as const;

const varint = 0;
const delimited = 2;

function put(writer: BinaryWriter, number: number, value: boolean | number | string): void {
  if (typeof value === "string") writer.uint32((number << 3) | delimited).string(value);
  else writer.uint32((number << 3) | varint).uint32(Number(value));
}

function putPair(writer: BinaryWriter, number: number, [first, second]: readonly [string, string]): void {
  writer.uint32((number << 3) | delimited).fork();
  put(writer, 1, first);
  put(writer, 2, second);
  writer.join();
}

export function encodeCriuOptions(options: CriuOptions): Uint8Array {
  const writer = new BinaryWriter();
  for (const [name, number] of Object.entries(numbers)) {
    const value = options[name as keyof CriuOptions];
    if (value === undefined) continue;
    for (const each of typeof value === "object" ? value : [value]) {
      if (typeof each === "object") putPair(writer, number, each);
      else put(writer, number, each);
    }
  }
  return writer.finish();
}
