import { ioPriority, memoryPolicy, type Op, personality, scheduler } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { ProcessSpec } from "../oci/process.js";
import type { LinuxSpec } from "../oci/spec.js";
import { parseIdList } from "./id-list.js";

/** include/uapi/linux/sched.h */
const policies = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
} as const;

const schedulerFlags = {
  SCHED_FLAG_RESET_ON_FORK: 0x01n,
  SCHED_FLAG_RECLAIM: 0x02n,
  SCHED_FLAG_DL_OVERRUN: 0x04n,
  SCHED_FLAG_KEEP_POLICY: 0x08n,
  SCHED_FLAG_KEEP_PARAMS: 0x10n,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20n,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40n,
} as const;

/** include/uapi/linux/ioprio.h */
const ioClasses = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 } as const;

/** include/uapi/linux/personality.h */
const domains = { LINUX: 0n, LINUX32: 8n } as const;

/** include/uapi/linux/mempolicy.h */
const memoryModes = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
} as const;
const memoryFlags = {
  MPOL_F_STATIC_NODES: 1 << 15,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_NUMA_BALANCING: 1 << 13,
} as const;

function lookUp<T>(table: Readonly<Record<string, T>>, name: string, path: string): T {
  return new Map(Object.entries(table)).get(name) ?? refuse(path, `${JSON.stringify(name)} is not known`);
}

function planScheduler(spec: NonNullable<ProcessSpec["scheduler"]>, path: string): Op {
  const { policy, nice, priority, flags, runtime, deadline, period } = spec;
  const number = lookUp(policies, policy, `${path}.policy`);
  if ((policy === "SCHED_OTHER" || policy === "SCHED_BATCH") && (nice < -20 || nice > 19)) {
    refuse(`${path}.nice`, `${nice} is not from -20 to 19`);
  }
  if (priority !== 0 && policy !== "SCHED_FIFO" && policy !== "SCHED_RR") {
    refuse(`${path}.priority`, `${policy} has none`);
  }
  if (policy !== "SCHED_DEADLINE" && (runtime !== 0n || deadline !== 0n || period !== 0n)) {
    refuse(path, `${policy} has no runtime, deadline and period`);
  }
  const all = flags.reduce((sum, name, index) => sum | lookUp(schedulerFlags, name, `${path}.flags[${index}]`), 0n);
  return scheduler({ policy: number, flags: all, nice, priority, runtime, deadline, period });
}

/** Modes that want no nodes, and those that want some; MPOL_PREFERRED takes either (set_mempolicy(2)). */
const withoutNodes: ReadonlySet<string> = new Set(["MPOL_DEFAULT", "MPOL_LOCAL"]);
const withAnyNodes: ReadonlySet<string> = new Set(["MPOL_PREFERRED"]);

function planMemoryPolicy({ mode, nodes, flags }: NonNullable<LinuxSpec["memoryPolicy"]>): Op {
  const path = "config.json: linux.memoryPolicy";
  const number: number = lookUp(memoryModes, mode, `${path}.mode`);
  const mask = parseIdList(nodes, `${path}.nodes`);
  if (mask && withoutNodes.has(mode)) refuse(`${path}.nodes`, `${mode} takes none`);
  if (!mask && !withoutNodes.has(mode) && !withAnyNodes.has(mode)) refuse(`${path}.nodes`, `${mode} needs some`);
  const all = flags.reduce(
    (sum, name, index) => sum | lookUp<number>(memoryFlags, name, `${path}.flags[${index}]`),
    number,
  );
  return memoryPolicy(all, mask ?? new Uint8Array(0));
}

function planPersonality({ domain, flags }: NonNullable<LinuxSpec["personality"]>): Op {
  const path = "config.json: linux.personality";
  if (flags.length > 0) refuse(`${path}.flags`, "the specification knows no flags");
  return personality(lookUp(domains, domain, `${path}.domain`));
}

/** How the kernel shall run a process: its own settings, and its container's. */
export function planScheduling(
  process: Pick<ProcessSpec, "scheduler" | "ioPriority">,
  linux: Pick<LinuxSpec, "personality" | "memoryPolicy">,
  path: string,
): Op[] {
  const io = process.ioPriority;
  return [
    ...(process.scheduler ? [planScheduler(process.scheduler, `${path}.scheduler`)] : []),
    ...(io ? [ioPriority(lookUp(ioClasses, io.class, `${path}.ioPriority.class`), io.priority)] : []),
    ...(linux.personality ? [planPersonality(linux.personality)] : []),
    ...(linux.memoryPolicy ? [planMemoryPolicy(linux.memoryPolicy)] : []),
  ];
}
