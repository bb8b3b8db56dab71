import type { ContainerRef, ExecSpec } from "../../task/ports.js";
import { bornIn } from "../cgroup/birth.js";
import { readKernelFile } from "../cgroup/files.js";
import type { Placement } from "../cgroup/placement.js";
import type { Birth } from "../core/birth.js";
import { chroot, cpuAffinity, encodeOps, initialCpuAffinity, type Op, root, userRoot } from "../core/ops.js";
import { planStreams } from "../io/streams.js";
import type { ProcessSpec } from "../oci/process.js";
import type { Spec } from "../oci/spec.js";
import type { NativeHandle } from "./handle.js";
import { parseIdList } from "./id-list.js";
import { namespaceFlags } from "./namespaces.js";
import { openTimeoutMs, type PlanSurroundings, terminalOps } from "./plan.js";
import { planOwnOomScore, planProcess } from "./plan-process.js";
import { checkUser } from "./plan-user-namespace.js";

export interface ExecPlan {
  readonly birth: Birth;
  readonly ops: readonly Op[];
}

const processPath = "process";

/**
 * The cgroups an exec is born in. On v2 an init that made cgroups below its own and turned controllers on there has moved out
 * of it, and nobody can move in any more (No Internal Process Constraint): its present cgroup then.
 */
function directories({ mode, places }: Placement, pid: number): string[] {
  const own = places.map(({ directory }) => directory);
  const [place] = places;
  if (mode !== "v2" || !place || !readKernelFile(`${place.directory}/cgroup.subtree_control`)?.trim()) return own;
  const current = /^0::(\/.*)$/m.exec(readKernelFile(`/proc/${pid}/cgroup`) ?? "")?.[1];
  const directory = current === undefined ? "" : place.mountPoint + current;
  return directory.startsWith(`${place.directory}/`) ? [directory] : own;
}

/** What the exec's own description leaves out it has from the container's process, as with runc. */
function inherit(process: ProcessSpec, init: ProcessSpec, terminal: boolean): ProcessSpec {
  return {
    ...process,
    terminal,
    capabilities: process.capabilities ?? init.capabilities,
    rlimits: process.rlimits.length > 0 ? process.rlimits : init.rlimits,
    oomScoreAdj: process.oomScoreAdj ?? init.oomScoreAdj,
    scheduler: process.scheduler ?? init.scheduler,
    ioPriority: process.ioPriority ?? init.ioPriority,
    execCPUAffinity: process.execCPUAffinity ?? init.execCPUAffinity,
  };
}

/** Where it runs before it is in its cgroup, and from then on (config.md, "Linux Process"). */
function planAffinity({ execCPUAffinity }: ProcessSpec): { readonly initial: Op[]; readonly final: Op[] } {
  const path = `${processPath}.execCPUAffinity`;
  const initial = parseIdList(execCPUAffinity?.initial ?? "", `${path}.initial`);
  const final = parseIdList(execCPUAffinity?.final ?? "", `${path}.final`);
  return { initial: initial ? [initialCpuAffinity(initial)] : [], final: final ? [cpuAffinity(final)] : [] };
}

export function planExec(
  container: ContainerRef,
  handle: NativeHandle,
  spec: ExecSpec,
  given: { readonly own: ProcessSpec; readonly spec: Spec },
  surroundings: Omit<PlanSurroundings, "cgroups">,
): ExecPlan {
  const process = inherit(given.own, given.spec.process, spec.stdio.terminal);
  const { seccomp, lastCapability, modules, caller, warn, namespace } = surroundings;
  checkUser(process, given.spec.linux, caller, processPath);
  const { initial: beforehand, final } = planAffinity(process);
  const initial = [...beforehand, ...planOwnOomScore(process, caller)];
  const ops = [
    ...final,
    ...(handle.boundRoot === "" ? [] : [root(handle.boundRoot), chroot()]),
    ...(handle.namespaces & namespaceFlags.user ? [userRoot()] : []),
    ...terminalOps(process.terminal, process.consoleSize),
    ...planProcess(process, {
      path: processPath,
      keyring: handle.keyring,
      linux: given.spec.linux,
      identity: { ...given.spec, id: container.id, bundle: container.bundle },
      init: handle.pid,
      modules,
      seccomp,
      lastCapability,
      caller,
      afterStart: undefined,
      warn,
    }),
  ];
  const places = directories(handle.placement, handle.pid);
  return {
    birth: {
      container: container.id,
      exec: spec.execId,
      teardown: "",
      terminal: process.terminal,
      ioUid: handle.ioUid,
      ioGid: handle.ioGid,
      ioTimeoutMs: openTimeoutMs,
      ...planStreams(spec.stdio, spec.execId, namespace),
      script: encodeOps(initial),
      watch: { version: 0, cgroup: "", held: [], snapshot: [] },
      cloneFlags: 0n,
      joins: [],
      initNamespaces: handle.namespaces,
      cgroup: bornIn(handle.placement, places),
      ops: encodeOps(ops),
    },
    ops: [...initial, ...ops],
  };
}
