import type { Criu, Ops } from "./birth.js";
import { Writer } from "./writer.js";

/**
 * The ops of native/include/vigil.h (enum vg_host_op, enum vg_child_op): one function an op. A plan is a list of these, encoded
 * at the end, so that the index of a failed op leads back to what it was.
 */
export interface Op {
  readonly name: OpName;
  readonly payload: Uint8Array;
  /** Its failure does not end the list (VG_OP_OPTIONAL). */
  readonly optional: boolean;
  /** What to add for people when it fails; empty: the core's words say all. Not sent. */
  readonly hint: string;
}

export const opCodes = {
  cgroupMkdir: 1,
  cgroupInherit: 2,
  cgroupEmpty: 3,
  write: 4,
  cgroupKill: 5,
  cgroupSignal: 6,
  cgroupFreeze: 7,
  cgroupRemove: 8,
  mount: 9,
  umountTree: 10,
  mkdir: 11,
  unlink: 12,
  signalProcess: 13,
  cgroupDevices: 14,
  ownOomScore: 15,
  awaitEnd: 16,
  detach: 17,
  hook: 20,
  initialCpuAffinity: 21,
  run: 25,
  sweep: 26,
  file: 27,
  criu: 30,
  unshareCgroup: 32,
  hostname: 33,
  domainname: 34,
  sysctl: 35,
  rootPropagation: 36,
  rootfs: 37,
  bindOrMount: 38,
  cgroupMount: 39,
  device: 40,
  symlink: 41,
  console: 42,
  pivot: 43,
  readonlyRoot: 44,
  mask: 45,
  readonlyPath: 46,
  rlimit: 47,
  oomScoreAdj: 48,
  newKeyring: 49,
  umask: 50,
  user: 51,
  capabilities: 52,
  noNewPrivs: 53,
  seccomp: 54,
  cwd: 55,
  waitStart: 56,
  exec: 57,
  find: 58,
  bringUpLoopback: 59,
  runtimeHook: 70,
  containerHook: 71,
  scheduler: 72,
  ioPriority: 73,
  personality: 74,
  memoryPolicy: 75,
  cpuAffinity: 76,
  userMap: 60,
  userRoot: 61,
  mountAttributes: 62,
  tmpfsCopy: 63,
  idmapBind: 64,
  timeNamespace: 65,
  label: 77,
  fileLabel: 78,
  seccompNotify: 79,
  userMapUnprivileged: 80,
  root: 81,
  chroot: 82,
} as const;

export type OpName = keyof typeof opCodes;

const optionalFlag = 1;
const nothing = new Uint8Array(0);

function op(name: OpName, fill?: (payload: Writer) => Writer): Op {
  return { name, payload: fill ? fill(new Writer()).finish() : nothing, optional: false, hint: "" };
}

export function optional(mandatory: Op): Op {
  return { ...mandatory, optional: true };
}

export function withHint(op: Op, hint: string): Op {
  return { ...op, hint };
}

export function encodeOps(ops: readonly Op[]): Ops {
  const writer = new Writer();
  for (const { name, payload, optional } of ops) {
    writer
      .u16(opCodes[name])
      .u16(optional ? optionalFlag : 0)
      .bytes(payload);
  }
  return writer.finish();
}

// Host ops: run by a helper of the core, in the core's namespaces.

export const cgroupMkdir = (root: string, path: string): Op => op("cgroupMkdir", (p) => p.str(root).str(path));

export const cgroupInherit = (root: string, path: string, file: string): Op =>
  op("cgroupInherit", (p) => p.str(root).str(path).str(file));

export const cgroupEmpty = (path: string): Op => op("cgroupEmpty", (p) => p.str(path));

export const write = (path: string, value: string): Op => op("write", (p) => p.str(path).bytes(Buffer.from(value)));

export const cgroupKill = (paths: readonly string[]): Op => op("cgroupKill", (p) => p.strs(paths));

export const cgroupSignal = (path: string, signal: number): Op => op("cgroupSignal", (p) => p.str(path).u32(signal));

export const cgroupFreeze = (version: 1 | 2, path: string, frozen: boolean, timeoutMs: number): Op =>
  op("cgroupFreeze", (p) => p.u8(version).str(path).bool(frozen).u32(timeoutMs));

/** @param program eBPF of the type CGROUP_DEVICE, for the cgroup of version 2 at `path` */
export const cgroupDevices = (path: string, program: Uint8Array): Op =>
  op("cgroupDevices", (p) => p.str(path).bytes(program));

export const cgroupRemove = (path: string, timeoutMs: number): Op =>
  op("cgroupRemove", (p) => p.str(path).u32(timeoutMs));

export interface HostMount {
  readonly type: string;
  readonly source: string;
  /** The directory that `target` is resolved inside of. */
  readonly root: string;
  readonly target: string;
  readonly flags: bigint;
  readonly propagation: bigint;
  readonly data: string;
}

export const mount = (m: HostMount): Op =>
  op("mount", (p) => p.str(m.type).str(m.source).str(m.root).str(m.target).u64(m.flags).u64(m.propagation).str(m.data));

export const umountTree = (path: string): Op => op("umountTree", (p) => p.str(path));

export const mkdir = (path: string, mode: number): Op => op("mkdir", (p) => p.str(path).u32(mode));

export const unlink = (path: string): Op => op("unlink", (p) => p.str(path));

/** `startTime` in clock ticks since boot, as proc(5) has it. */
export const signalProcess = (pid: number, startTime: bigint, signal: number): Op =>
  op("signalProcess", (p) => p.u32(pid).u64(startTime).u32(signal));
export interface HookProgram {
  /** For messages: "poststop hook #0". */
  readonly name: string;
  readonly path: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  /** 0: none. */
  readonly timeoutMs: number;
  /** To run in; "": where whoever runs it is. */
  readonly directory: string;
}

const hookProgram = (p: Writer, h: HookProgram): Writer =>
  p.str(h.name).str(h.path).strs(h.argv).strs(h.env).u32(h.timeoutMs).str(h.directory);

export const hook = (program: HookProgram, state: string): Op => op("hook", (p) => hookProgram(p, program).str(state));

export const initialCpuAffinity = (cpus: Uint8Array): Op => op("initialCpuAffinity", (p) => p.bytes(cpus));

export interface Program {
  readonly argv: readonly string[];
  readonly input?: string;
  /** The file that it is told to log to. */
  readonly log: string;
  readonly timeoutMs: number;
}

/** `struct program` of vigil.h. */
export const writeProgram = (writer: Writer, { argv, input = "", log, timeoutMs }: Program): Writer =>
  writer.strs(argv).bytes(Buffer.from(input)).str(log).u32(timeoutMs);

export const run = (program: Program): Op => op("run", (p) => writeProgram(p, program));

/** `struct criu` of vigil.h. */
export const writeCriu = (writer: Writer, { program, request, options, images, work, timeoutMs }: Criu): Writer =>
  writer.str(program).u32(request).bytes(options).str(images).str(work).u32(timeoutMs);

export const criu = (asked: Criu): Op => op("criu", (p) => writeCriu(p, asked));

export const sweep = (directory: string): Op => op("sweep", (p) => p.str(directory));

export const file = (path: string, mode: number, content: string): Op =>
  op("file", (p) => p.str(path).u32(mode).bytes(Buffer.from(content)));

export const ownOomScore = (score: number): Op => op("ownOomScore", (p) => p.i32(score));

export const awaitEnd = (pid: number, startTime: bigint, timeoutMs: number): Op =>
  op("awaitEnd", (p) => p.u32(pid).u64(startTime).u32(timeoutMs));

export const detach = (path: string): Op => op("detach", (p) => p.str(path));

// Child ops: run by the process to be, in order.

export const unshareCgroup = (): Op => op("unshareCgroup");

export const hostname = (name: string): Op => op("hostname", (p) => p.str(name));

export const domainname = (name: string): Op => op("domainname", (p) => p.str(name));

export const sysctl = (key: string, value: string): Op => op("sysctl", (p) => p.str(key).str(value));

export const rootPropagation = (flags: bigint): Op => op("rootPropagation", (p) => p.u64(flags));

export const rootfs = (path: string): Op => op("rootfs", (p) => p.str(path));

export interface ChildMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly flags: bigint;
  readonly clear: bigint;
  readonly propagation: bigint;
  readonly data: string;
  readonly sourceIsHostPath: boolean;
}

export const bindOrMount = (m: ChildMount): Op =>
  op("bindOrMount", (p) =>
    p
      .str(m.type)
      .str(m.source)
      .str(m.target)
      .u64(m.flags)
      .u64(m.clear)
      .u64(m.propagation)
      .str(m.data)
      .bool(m.sourceIsHostPath),
  );

export interface CgroupMountEntry {
  readonly name: string;
  readonly hostDirectory: string;
  readonly options: string;
}

export const cgroupMount = (version: 1 | 2, target: string, flags: bigint, entries: readonly CgroupMountEntry[]): Op =>
  op("cgroupMount", (p) =>
    p
      .u8(version)
      .str(target)
      .u64(flags)
      .list(entries, (w, entry) => w.str(entry.name).str(entry.hostDirectory).str(entry.options)),
  );

export interface DeviceNode {
  readonly path: string;
  readonly type: "c" | "b" | "p";
  readonly major: number;
  readonly minor: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export const device = (d: DeviceNode): Op =>
  op("device", (p) =>
    p.str(d.path).u8(d.type.charCodeAt(0)).u32(d.major).u32(d.minor).u32(d.mode).u32(d.uid).u32(d.gid),
  );

export const symlink = (target: string, path: string): Op => op("symlink", (p) => p.str(target).str(path));

export const consoleTerminal = (columns: number, rows: number): Op => op("console", (p) => p.u16(columns).u16(rows));

export const pivot = (noPivot: boolean, propagation: bigint): Op =>
  op("pivot", (p) => p.bool(noPivot).u64(propagation));

export const readonlyRoot = (): Op => op("readonlyRoot");

export const mask = (path: string): Op => op("mask", (p) => p.str(path));

export const readonlyPath = (path: string): Op => op("readonlyPath", (p) => p.str(path));

export const rlimit = (resource: number, soft: bigint, hard: bigint): Op =>
  op("rlimit", (p) => p.u32(resource).u64(soft).u64(hard));

export const oomScoreAdj = (score: number): Op => op("oomScoreAdj", (p) => p.i32(score));

export const newKeyring = (name: string): Op => op("newKeyring", (p) => p.str(name));

export const umask = (mask: number): Op => op("umask", (p) => p.u32(mask));

export const user = (uid: number, gid: number, groups: readonly number[]): Op =>
  op("user", (p) =>
    p
      .u32(uid)
      .u32(gid)
      .list(groups, (w, group) => w.u32(group)),
  );

export interface CapabilitySets {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly ambient: bigint;
}

export const capabilities = (sets: CapabilitySets): Op =>
  op("capabilities", (p) =>
    p.u64(sets.bounding).u64(sets.effective).u64(sets.inheritable).u64(sets.permitted).u64(sets.ambient),
  );

export const noNewPrivs = (): Op => op("noNewPrivs");

export const seccomp = (program: Uint8Array, flags: number): Op => op("seccomp", (p) => p.bytes(program).u32(flags));

export const cwd = (path: string): Op => op("cwd", (p) => p.str(path));

export const waitStart = (): Op => op("waitStart");

export const exec = (argv: readonly string[], env: readonly string[]): Op => op("exec", (p) => p.strs(argv).strs(env));

export const find = (argv: readonly string[], env: readonly string[]): Op => op("find", (p) => p.strs(argv).strs(env));

export const bringUpLoopback = (): Op => op("bringUpLoopback");

/** The state's text is given in two halves: the pid goes between them. */
export const runtimeHook = (program: HookProgram, before: string, behind: string): Op =>
  op("runtimeHook", (p) => hookProgram(p, program).str(before).str(behind));

export const containerHook = (program: HookProgram, before: string, behind: string): Op =>
  op("containerHook", (p) => hookProgram(p, program).str(before).str(behind));

/** struct sched_attr */
export interface SchedulingAttributes {
  readonly policy: number;
  readonly flags: bigint;
  readonly nice: number;
  readonly priority: number;
  readonly runtime: bigint;
  readonly deadline: bigint;
  readonly period: bigint;
}

export const scheduler = (s: SchedulingAttributes): Op =>
  op("scheduler", (p) =>
    p.u32(s.policy).u64(s.flags).i32(s.nice).u32(s.priority).u64(s.runtime).u64(s.deadline).u64(s.period),
  );

export const ioPriority = (ioClass: number, level: number): Op => op("ioPriority", (p) => p.u32(ioClass).u32(level));

export const personality = (value: bigint): Op => op("personality", (p) => p.u64(value));

/** `mode` with its flags. */
export const memoryPolicy = (mode: number, nodes: Uint8Array): Op =>
  op("memoryPolicy", (p) => p.u32(mode).bytes(nodes));

export const cpuAffinity = (cpus: Uint8Array): Op => op("cpuAffinity", (p) => p.bytes(cpus));
export const userMap = (uids: string, gids: string): Op => op("userMap", (p) => p.str(uids).str(gids));
export const userRoot = (): Op => op("userRoot");

export const mountAttributes = (target: string, set: bigint, clear: bigint): Op =>
  op("mountAttributes", (p) => p.str(target).u64(set).u64(clear));

export type TmpfsCopy = Pick<ChildMount, "source" | "target" | "flags" | "propagation" | "data">;

export const tmpfsCopy = (m: TmpfsCopy): Op =>
  op("tmpfsCopy", (p) => p.str(m.source).str(m.target).u64(m.flags).u64(m.propagation).str(m.data));

export interface IdmapBind extends Pick<ChildMount, "source" | "target" | "flags" | "clear" | "propagation"> {
  /** Texts of a uid_map and a gid_map; both empty: those of the container's user namespace. */
  readonly maps: readonly [uids: string, gids: string];
  /** What is mounted below has other ids, too. */
  readonly recursive: boolean;
}

export const idmapBind = (m: IdmapBind): Op =>
  op("idmapBind", (p) =>
    p
      .str(m.source)
      .str(m.target)
      .u64(m.flags)
      .u64(m.clear)
      .u64(m.propagation)
      .str(m.maps[0])
      .str(m.maps[1])
      .bool(m.recursive),
  );

export const timeNamespace = (offsets: string): Op => op("timeNamespace", (p) => p.str(offsets));

/** `older`: where the attribute is on kernels that do not have `attribute`; empty: there is no other place. */
export const processLabel = (attribute: string, older: string, value: string): Op =>
  op("label", (p) => p.str(attribute).str(older).str(value));

export const fileLabel = (path: string, label: string): Op => op("fileLabel", (p) => p.str(path).str(label));

/** `parts` of the message to the agent: between each two goes the child's pid. */
export const seccompNotify = (program: Uint8Array, flags: number, agent: string, parts: readonly string[]): Op =>
  op("seccompNotify", (p) => p.bytes(program).u32(flags).str(agent).strs(parts));

export interface UserMaps {
  /** Texts of a uid_map and a gid_map. */
  readonly maps: readonly [uids: string, gids: string];
  /** newuidmap(1) and newgidmap(1); empty: not needed. */
  readonly programs: readonly [uids: string, gids: string];
}

export const userMapUnprivileged = ({ maps, programs }: UserMaps): Op =>
  op("userMapUnprivileged", (p) => p.str(maps[0]).str(maps[1]).str(programs[0]).str(programs[1]));

export const root = (path: string): Op => op("root", (p) => p.str(path));

export const chroot = (): Op => op("chroot");
