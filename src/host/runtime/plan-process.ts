import type { Caller } from "../caller.js";
import {
  capabilities,
  cwd,
  exec,
  find,
  newKeyring,
  noNewPrivs,
  type Op,
  oomScoreAdj,
  optional,
  ownOomScore,
  seccomp,
  seccompNotify,
  umask,
  user,
  waitStart,
  withHint,
} from "../core/ops.js";
import type { ProcessSpec } from "../oci/process.js";
import type { LinuxSpec } from "../oci/spec.js";
import { planCapabilities } from "./capabilities.js";
import { planProcessLabels, type SecurityModules } from "./labels.js";
import { planScheduling } from "./plan-scheduling.js";
import { planRlimits } from "./rlimits.js";
import type { SeccompFilter } from "./seccomp.js";
import { type Identity, processStateParts } from "./state.js";

export interface ProcessSurroundings {
  /** JSON path of the process, for messages. */
  readonly path: string;
  /** Name of the session keyring; empty: stay in the one there is. */
  readonly keyring: string;
  /** What of the container's settings holds for each of its processes. */
  readonly linux: Pick<LinuxSpec, "personality" | "memoryPolicy">;
  readonly modules: SecurityModules;
  readonly seccomp: SeccompFilter | undefined;
  readonly lastCapability: number;
  readonly caller: Caller;
  /** The container, for an agent that answers for system calls. */
  readonly identity: Identity;
  /** The pid of the container's init; undefined: this is it. */
  readonly init: number | undefined;
  /** An init waits for Start, and then runs these first. An exec does not wait. */
  readonly afterStart: readonly Op[] | undefined;
  readonly warn: (message: string) => void;
}

function filterOp({ program, flags, agent }: SeccompFilter, { identity, init }: ProcessSurroundings): Op {
  if (!agent) return seccomp(program, flags);
  return seccompNotify(program, flags, agent.path, processStateParts(identity, agent.metadata, init));
}

/** A helper without privileges has no power over the files of a process in a user namespace: that one inherits its score. */
export function planOwnOomScore({ oomScoreAdj: score }: ProcessSpec, { privileged }: Caller): Op[] {
  if (privileged || score === undefined) return [];
  return [withHint(ownOomScore(score), "without privileges it can only be raised")];
}

/** The last steps of a process before it is the container's: what it gives up, and its execve. */
export function planProcess(process: ProcessSpec, surroundings: ProcessSurroundings): Op[] {
  const { path, keyring, lastCapability, caller, afterStart, warn } = surroundings;
  const { sets, ignored } = planCapabilities(process.capabilities, lastCapability);
  if (ignored.length > 0) warn(`${path}.capabilities: cannot be had and left out: ${ignored.join(", ")}`);
  const labels = planProcessLabels(process, surroundings.modules, path);
  const { uid, gid, additionalGids } = process.user;
  const filter = surroundings.seccomp ? [filterOp(surroundings.seccomp, surroundings)] : [];
  // Without no_new_privs a filter needs CAP_SYS_ADMIN, so it must come before the capabilities go (seccomp(2)); with it, it
  // comes last, so that it need not allow what is done here.
  const early = process.noNewPrivileges ? [] : filter;
  const late = process.noNewPrivileges ? filter : [];
  // The agent is told by the birth's helper, whose time ends with the wait.
  const beforeWait = surroundings.seccomp?.agent ? late : [];
  return [
    ...labels.beforeKeyring,
    ...(keyring === "" ? [] : [newKeyring(keyring)]),
    ...labels.afterKeyring,
    ...planRlimits(process.rlimits, path),
    ...(process.oomScoreAdj === undefined || !caller.privileged ? [] : [oomScoreAdj(process.oomScoreAdj)]),
    ...planScheduling(process, surroundings.linux, path),
    ...(process.noNewPrivileges ? [noNewPrivs()] : []),
    ...early,
    ...(process.user.umask === undefined ? [] : [umask(process.user.umask)]),
    // Root may enter what the user may not, and on a network file system it is the other way round.
    optional(cwd(process.cwd)),
    user(uid, gid, additionalGids),
    cwd(process.cwd),
    capabilities(sets),
    find(process.args, process.env),
    ...beforeWait,
    ...(afterStart ? [waitStart()] : []),
    ...(beforeWait.length > 0 ? [] : late),
    // They are programs of the container, so its filter is theirs.
    ...(afterStart ?? []),
    exec(process.args, process.env),
  ];
}
