import { isDeepStrictEqual } from "node:util";
import { VigilError } from "../../base/errors.js";
import type { Log } from "../../base/log.js";
import type { ContainerRef, CreateSpec, ExecSpec, Runtime } from "../../task/ports.js";
import { type Bundle, openBundle, parseProcess, parseResources } from "../bundle.js";
import { type Caller, detectCaller } from "../caller.js";
import { type CgroupHost, detectCgroups, detectCgroupsIfAny } from "../cgroup/detect.js";
import { readKernelFile } from "../cgroup/files.js";
import { membersBelow } from "../cgroup/members.js";
import { membersOfPidNamespace, startTimeOf } from "../cgroup/pid-members.js";
import { freezerPlace, type Placement, processPlace } from "../cgroup/placement.js";
import { readStats } from "../cgroup/stats.js";
import { freezeTimeoutMs, thawForDeath } from "../cgroup/thaw.js";
import { planCgroupUpdate } from "../cgroup/update.js";
import type { CoreCommands } from "../core/commands.js";
import {
  cgroupFreeze,
  cgroupKill,
  cgroupRemove,
  cgroupSignal,
  detach,
  encodeOps,
  type Op,
  optional,
  signalProcess,
  umountTree,
} from "../core/ops.js";
import type { SeccompSpec } from "../oci/spec.js";
import { hasErrno, type RuntimeStep, runtimeFailure } from "./failure.js";
import { decodeHandle, encodeHandle } from "./handle.js";
import { detectSecurityModules } from "./labels.js";
import { nativeCheckpoints } from "./native-checkpoint.js";
import { type ContainerPlan, type PlanSurroundings, planContainer } from "./plan.js";
import { type ExecPlan, planExec } from "./plan-exec.js";
import { runPoststart, runPoststop } from "./run-hooks.js";
import { compileSeccomp, type SeccompFilter } from "./seccomp.js";

export interface NativeRuntimeContext {
  /** containerd's namespace, or vigil's. */
  readonly namespace: string;
  readonly log: Log;
  /** The host's cgroup trees, looked at when the first container comes. */
  readonly detect?: () => CgroupHost;
  /** The program; the core looks for it in PATH. */
  readonly criu?: string;
  readonly caller?: Caller;
}

const removeTimeoutMs = 10_000;
const filtersKept = 8;
const SIGKILL = 9;

/** The runtime that needs no other program: plans are made here and carried out by the core. */
export function createNativeRuntime(core: CoreCommands, context: NativeRuntimeContext): Runtime {
  const { namespace, log, criu = "criu", caller = detectCaller() } = context;
  const detect = context.detect ?? (caller.privileged ? detectCgroups : detectCgroupsIfAny);
  let host: CgroupHost | undefined;
  const cgroups = (): CgroupHost => (host ??= detect());
  const lastCapability = Number(readKernelFile("/proc/sys/kernel/cap_last_cap") ?? 0);
  const filterOf = rememberFilters();
  const warner = (id: string) => (detail: string) => log.warning("setting without effect", { id, detail });

  const checkpoints = nativeCheckpoints(core, { criu, of: surroundingsOf });

  async function attempt<T>(step: RuntimeStep, ops: readonly Op[], action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (thrown) {
      throw runtimeFailure(step, thrown, ops);
    }
  }

  const script = (step: RuntimeStep, key: string, ops: readonly Op[]): Promise<void> =>
    attempt(step, ops, () => core.script(key, encodeOps(ops), { undo: false }));

  async function freeze(step: "pause" | "resume", key: string, container: ContainerRef): Promise<void> {
    const { placement } = decodeHandle(container);
    const place = freezerPlace(placement);
    if (!place) {
      const why = placement.places.length > 0 ? "this host has no freezer cgroup" : "the container has no cgroup";
      throw new VigilError("failed_precondition", `cannot ${step}: ${why}`);
    }
    await script(step, `${key}/${step}`, [
      cgroupFreeze(place.version, place.directory, step === "pause", freezeTimeoutMs),
    ]);
  }

  async function thaw(key: string, placement: Placement): Promise<void> {
    const ops = thawForDeath(placement);
    if (ops.length > 0) await script("kill", `${key}/thaw`, ops);
  }

  return {
    async create(key, request) {
      if (request.checkpoint !== "") return checkpoints.create(request);
      const plan = await attempt("create", [], () => planCreate(request));
      const { placement, mountPoint, boundRoot, keyring, namespaces, later } = plan;
      const pid = await attempt("create", plan.ops, () => core.birth(`${key}/birth`, plan.birth)).catch(
        async (failure) => {
          // What the creation hooks have made, these take away (OCI runtime.md, "Lifecycle", steps 12 and 13).
          await runPoststop(core, key, request, later, log);
          throw failure;
        },
      );
      const { ioUid, ioGid } = request.options;
      const all = namespaces.all;
      const handle = encodeHandle({
        placement,
        namespaces: all,
        pid,
        mountPoint,
        boundRoot,
        keyring,
        ioUid,
        ioGid,
        later,
      });
      return { pid, handle, privatePids: namespaces.isNew("pid") };
    },

    async start(key, container) {
      const { id, bundle } = container;
      const { pid, later, placement, restore: pending } = decodeHandle(container);
      if (pending) return checkpoints.restore(key, pending);
      await attempt("start", [], () => core.start(`${key}/start`, id));
      try {
        await attempt("start", [], () => runPoststart(core, key, { id, bundle, pid }, later));
      } catch (failure) {
        // It ends the container, as with runc.
        await core.signal(`${key}/poststart-kill`, id, "", SIGKILL).catch((err: unknown) => {
          if (!hasErrno(err, "ESRCH")) log.error("container not killed after a failed hook", { id, err });
        });
        await thaw(key, placement);
        throw failure;
      }
      return undefined;
    },

    checkpoint: checkpoints.checkpoint,

    async exec(key, container, spec) {
      const plan = await attempt("exec", [], () => planExecOf(container, spec));
      return attempt("exec", plan.ops, () => core.birth(`${key}/birth`, plan.birth));
    },

    async signal(key, container, execId, signal) {
      try {
        await core.signal(`${key}/signal`, container.id, execId, signal);
      } catch (thrown) {
        if (hasErrno(thrown, "ESRCH")) {
          throw new VigilError("not_found", "process already finished", { cause: thrown });
        }
        throw runtimeFailure("kill", thrown);
      }
      if (signal === SIGKILL) await thaw(key, decodeHandle(container).placement);
    },

    async signalAll(key, container, signal) {
      const { placement, pid } = decodeHandle(container);
      const place = processPlace(placement);
      if (!place) return script("kill", `${key}/signal`, signalEach(membersWithoutCgroup(pid), signal));
      const directories = placement.places.map(({ directory }) => directory);
      // Killing covers every hierarchy and thaws; other signals go to each process once.
      if (signal === SIGKILL) await script("kill", `${key}/kill`, [cgroupKill(directories)]);
      else await script("kill", `${key}/signal`, [cgroupSignal(place.directory, signal)]);
    },

    pause: (key, container) => freeze("pause", key, container),
    resume: (key, container) => freeze("resume", key, container),

    async update(key, container, resources) {
      const { placement } = decodeHandle(container);
      const plan = await attempt("update", [], async () =>
        planCgroupUpdate(placement, parseResources(resources), { path: "resources", warn: warner(container.id) }),
      );
      try {
        await script("update", `${key}/update`, plan.script);
      } catch (thrown) {
        await script("update", `${key}/undo`, plan.undo).catch((err: unknown) => {
          log.error("old limits not put back", { id: container.id, err });
        });
        throw thrown;
      }
    },

    async pids(container) {
      const { placement, pid } = decodeHandle(container);
      const place = processPlace(placement);
      return place ? membersBelow(place.directory) : membersWithoutCgroup(pid);
    },

    stats: async (container) => readStats(decodeHandle(container).placement),

    async remove(key, container) {
      const { placement, mountPoint, boundRoot, later } = decodeHandle(container);
      const directories = placement.places.map(({ directory }) => directory);
      await script("delete", `${key}/remove`, [
        cgroupKill(directories),
        ...directories.map((directory) => cgroupRemove(directory, removeTimeoutMs)),
        ...(boundRoot === "" ? [] : [detach(boundRoot)]),
        ...(mountPoint === "" ? [] : [umountTree(mountPoint)]),
      ]);
      // Before the core forgets: as long as it knows the container, `delete` runs them in case of its death.
      await runPoststop(core, key, container, later, log);
      await attempt("delete", [], () => core.forget(`${key}/forget`, container.id, ""));
    },

    resize: (key, { id }, execId, columns, rows) =>
      attempt("resize", [], () => core.resize(`${key}/resize`, id, execId, columns, rows)),

    closeStdin: (key, { id }, execId) => core.closeStdin(`${key}/close-stdin`, id, execId),

    drain: (key, { id }, execId, timeoutMs) => core.drain(`${key}/drain`, id, execId, timeoutMs),

    forgetExec: (key, { id }, execId) => core.forget(`${key}/forget`, id, execId),
  };

  async function surroundingsOf(request: CreateSpec, { spec }: Bundle): Promise<PlanSurroundings> {
    const seccomp = await filterOf(spec.linux.seccomp);
    const modules = detectSecurityModules();
    return { namespace, cgroups: cgroups(), seccomp, lastCapability, modules, caller, warn: warner(request.id) };
  }

  async function planCreate(request: CreateSpec): Promise<ContainerPlan> {
    const bundle = openBundle(request.bundle);
    return planContainer(bundle, request, await surroundingsOf(request, bundle));
  }

  async function planExecOf(container: ContainerRef, spec: ExecSpec): Promise<ExecPlan> {
    const handle = decodeHandle(container);
    const own = parseProcess(spec.process);
    // The container's own configuration: its filter holds for execs, and it fills what an exec leaves out.
    const { spec: config } = openBundle(container.bundle);
    const seccomp = await filterOf(config.linux.seccomp);
    const warn = warner(container.id);
    const modules = detectSecurityModules();
    return planExec(
      container,
      handle,
      spec,
      { own, spec: config },
      { namespace, seccomp, lastCapability, modules, caller, warn },
    );
  }
}

function membersWithoutCgroup(init: number): number[] {
  const members = membersOfPidNamespace(init);
  if (members) return members;
  const why = "it has neither a cgroup nor a pid namespace of its own";
  throw new VigilError("failed_precondition", `the container's processes cannot be told from others: ${why}`);
}

/** One that ends meanwhile needs no signal any more. */
function signalEach(pids: readonly number[], signal: number): Op[] {
  return pids.map((pid) => optional(signalProcess(pid, startTimeOf(pid), signal)));
}

type FilterOf = (spec: SeccompSpec | undefined) => Promise<SeccompFilter | undefined>;

/** Compiled filters: most containers have the same profile, and an exec has its container's. */
function rememberFilters(): FilterOf {
  let known: readonly { readonly spec: SeccompSpec; readonly filter: SeccompFilter }[] = [];
  return async (spec) => {
    if (!spec) return undefined;
    const found = known.find((each) => isDeepStrictEqual(each.spec, spec)) ?? {
      spec,
      filter: await compileSeccomp(spec),
    };
    known = [found, ...known.filter((each) => each !== found)].slice(0, filtersKept);
    return found.filter;
  };
}
