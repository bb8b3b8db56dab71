import { openSeccompBuilder, type SeccompBuilder, type SyscallCondition } from "../core/libseccomp.js";
import { refuse } from "../oci/check.js";
import type { SeccompSpec } from "../oci/spec.js";
import { unknownCallsPrologue } from "./seccomp-prologue.js";

export interface SeccompFilter {
  /** struct sock_filter array. */
  readonly program: Uint8Array;
  /** Flags of seccomp(2). */
  readonly flags: number;
  /** Who answers for calls that the profile notifies of; undefined: it has none. */
  readonly agent: { readonly path: string; readonly metadata: string } | undefined;
}

const path = "config.json: linux.seccomp";
const operationNotPermitted = 1; // EPERM
const ENOSYS = 38;
const maximumErrno = 0xfff;

const notifyCode = 0x7fc0_0000;

/** seccomp.h: actions, of which two carry a number. */
const actions: Readonly<Record<string, { readonly code: number; readonly carries?: true }>> = {
  SCMP_ACT_KILL: { code: 0x0000_0000 },
  SCMP_ACT_KILL_THREAD: { code: 0x0000_0000 },
  SCMP_ACT_KILL_PROCESS: { code: 0x8000_0000 },
  SCMP_ACT_TRAP: { code: 0x0003_0000 },
  SCMP_ACT_ERRNO: { code: 0x0005_0000, carries: true },
  SCMP_ACT_TRACE: { code: 0x7ff0_0000, carries: true },
  SCMP_ACT_NOTIFY: { code: notifyCode },
  SCMP_ACT_LOG: { code: 0x7ffc_0000 },
  SCMP_ACT_ALLOW: { code: 0x7fff_0000 },
};

/** enum scmp_compare */
const comparisons: ReadonlyMap<string, number> = new Map([
  ["SCMP_CMP_NE", 1],
  ["SCMP_CMP_LT", 2],
  ["SCMP_CMP_LE", 3],
  ["SCMP_CMP_EQ", 4],
  ["SCMP_CMP_GE", 5],
  ["SCMP_CMP_GT", 6],
  ["SCMP_CMP_MASKED_EQ", 7],
]);
const maskedEqual = 7;

/** The specification's names for what libseccomp knows without the prefix (config-linux.md, "Seccomp"). */
const architecturePrefix = /^SCMP_ARCH_/;
const architectureNames = [
  ...["X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32"],
  ...["PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64"],
].map((name) => `SCMP_ARCH_${name}`);

/** linux/seccomp.h */
const filterFlags: ReadonlyMap<string, number> = new Map([
  ["SECCOMP_FILTER_FLAG_TSYNC", 1],
  ["SECCOMP_FILTER_FLAG_LOG", 2],
  ["SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4],
  ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32],
]);
const speculationAllowed = 4;
const allThreads = 1;
const waitKillable = 32;

/** Its own call that the child hands the listener over with: the agent could not answer for it before it has that. */
const handOver = "sendmsg";

function actionCode(name: string, errno: number | undefined, at: string): number {
  const action = actions[name] ?? refuse(at, `no action is called ${JSON.stringify(name)}`);
  if (!action.carries) return errno === undefined ? action.code : refuse(at, `${name} takes no error number`);
  const carried = errno ?? operationNotPermitted;
  return carried <= maximumErrno ? action.code | carried : refuse(at, `${carried} is not an error number`);
}

function flagsOf(flags: SeccompSpec["flags"], notifies: boolean): number {
  // As runc: a filter shall not turn on the mitigation of speculative store bypass, which slows everything, unless asked to.
  if (flags === undefined) return speculationAllowed;
  const all = flags.reduce((all, name, index) => {
    const flag =
      filterFlags.get(name) ?? refuse(`${path}.flags[${index}]`, `no flag is called ${JSON.stringify(name)}`);
    return all | flag;
  }, 0);
  // The kernel takes the one only with a listener, and the other, which means nothing with one thread, only without.
  return all & ~(notifies ? allThreads : waitKillable);
}

function agentOf({ defaultAction, listenerPath, listenerMetadata, syscalls }: SeccompSpec): SeccompFilter["agent"] {
  if (defaultAction === "SCMP_ACT_NOTIFY") refuse(`${path}.defaultAction`, "SCMP_ACT_NOTIFY cannot be the default");
  if (listenerMetadata !== "" && listenerPath === "") refuse(`${path}.listenerMetadata`, "there is no listenerPath");
  const notifying = syscalls.findIndex(({ action }) => action === "SCMP_ACT_NOTIFY");
  if (notifying < 0) return undefined;
  if (!listenerPath.startsWith("/")) {
    refuse(`${path}.listenerPath`, `${JSON.stringify(listenerPath)} is not an absolute path`);
  }
  syscalls.forEach(({ action, names }, index) => {
    if (action === "SCMP_ACT_NOTIFY" && names.includes(handOver)) {
      refuse(`${path}.syscalls[${index}]`, `SCMP_ACT_NOTIFY cannot be used for ${handOver}`);
    }
  });
  return { path: listenerPath, metadata: listenerMetadata };
}

type Rule = SeccompSpec["syscalls"][number];

function conditionsOf(rule: Rule, at: string): SyscallCondition[] {
  return rule.args.map(({ index, op, value, valueTwo }, number) => {
    const where = `${at}.args[${number}]`;
    if (index > 5) refuse(`${where}.index`, `${index} is not the number of an argument`);
    const comparison = comparisons.get(op) ?? refuse(`${where}.op`, `no comparison is called ${JSON.stringify(op)}`);
    // The library takes the mask first, then what the masked argument must be; so does the specification.
    return { argument: index, comparison, a: value, b: comparison === maskedEqual ? valueTwo : 0n };
  });
}

function addRule(builder: SeccompBuilder, rule: Rule, defaultAction: number, at: string): void {
  const action = actionCode(rule.action, rule.errnoRet, `${at}.action`);
  if (action === defaultAction) return;
  const conditions = conditionsOf(rule, at);
  // Conditions are joined by "and", but one argument twice means "or": a rule for each then.
  const twice = new Set(conditions.map(({ argument }) => argument)).size < conditions.length;
  const alternatives = twice ? conditions.map((condition) => [condition]) : [conditions];
  for (const name of rule.names) {
    const syscall = builder.resolve(name);
    // Profiles list calls of newer kernels and other machines; what nobody can call needs no rule.
    if (syscall === undefined) continue;
    for (const alternative of alternatives) {
      const status = builder.addRule(action, syscall, alternative);
      if (status < 0) refuse(`${at}.names`, `libseccomp refuses the rule for ${name} (error ${-status})`);
    }
  }
}

// What a profile allows by itself stays allowed for newer calls, and a tracer knows how to say ENOSYS.
const permissive: ReadonlySet<string> = new Set(["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"]);

function needsPrologue({ defaultAction, defaultErrnoRet }: SeccompSpec): boolean {
  return !permissive.has(defaultAction) && defaultErrnoRet !== ENOSYS;
}

/** The highest call number that the profile speaks of, by architecture. */
function lastCalls(builder: SeccompBuilder, spec: SeccompSpec, architectures: Iterable<number>): Map<number, number> {
  const names = new Set(spec.syscalls.flatMap((rule) => rule.names));
  const last = new Map<number, number>();
  for (const architecture of architectures) {
    const numbers = [...names].map((name) => builder.resolveOn(architecture, name) ?? -1);
    last.set(
      architecture,
      numbers.reduce((high, number) => Math.max(high, number), -1),
    );
  }
  return last;
}

/** What a profile may say, for the features document (features-linux.md, "Seccomp"). */
export const seccompNames = {
  actions: Object.keys(actions),
  operators: [...comparisons.keys()],
  archs: architectureNames,
  flags: [...filterFlags.keys()],
};

/** linux.seccomp as a program for the kernel. */
export async function compileSeccomp(spec: SeccompSpec): Promise<SeccompFilter> {
  const agent = agentOf(spec);
  const flags = flagsOf(spec.flags, agent !== undefined);
  const defaultAction = actionCode(spec.defaultAction, spec.defaultErrnoRet, `${path}.defaultAction`);
  const builder = await openSeccompBuilder(defaultAction);
  try {
    const architectures = new Set([builder.native]);
    spec.architectures.forEach((architecture, index) => {
      const token = builder.addArchitecture(architecture.replace(architecturePrefix, "").toLowerCase());
      const at = `${path}.architectures[${index}]`;
      architectures.add(token ?? refuse(at, `${JSON.stringify(architecture)} is not known here`));
    });
    spec.syscalls.forEach((rule, index) => {
      addRule(builder, rule, defaultAction, `${path}.syscalls[${index}]`);
    });
    const program = builder.program();
    if (!needsPrologue(spec)) return { program, flags, agent };
    const prologue = unknownCallsPrologue(lastCalls(builder, spec, architectures));
    return { program: Buffer.concat([prologue, program]), flags, agent };
  } finally {
    builder.release();
  }
}
