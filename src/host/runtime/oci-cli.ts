import { VigilError } from "../../base/errors.js";
import type { ContainerRef, CreatedContainer, CreateSpec, Runtime, RuntimeHandle } from "../../task/ports.js";
import { type CgroupHost, detectCgroups } from "../cgroup/detect.js";
import { readKernelFile } from "../cgroup/files.js";
import { placementFound } from "../cgroup/found.js";
import { membersBelow } from "../cgroup/members.js";
import { freezerPlace, placementOf, processPlace } from "../cgroup/placement.js";
import { readStats } from "../cgroup/stats.js";
import { freezeTimeoutMs, thawForDeath } from "../cgroup/thaw.js";
import { watchOf } from "../cgroup/watch.js";
import type { OciCommands } from "../core/commands.js";
import {
  cgroupFreeze,
  cgroupKill,
  cgroupRemove,
  encodeOps,
  mkdir,
  type Op,
  run,
  sweep,
  umountTree,
} from "../core/ops.js";
import { type CriuPlace, type CriuStep, clearWork, explainCriu, forgetLog } from "./criu-failure.js";
import type { RuntimeStep } from "./failure.js";
import { checkpointWords } from "./oci-checkpoint.js";
import { deleteByForce, ociStep } from "./oci-command.js";
import { ociFailure, saysUnknown } from "./oci-failure.js";
import { decodeOciHandle, encodeOciHandle, type OciHandle } from "./oci-handle.js";
import {
  directoryMode,
  hasPrivatePids,
  type OciCreatePlan,
  planOciCreate,
  planOciExec,
  workDirectory,
} from "./oci-plan.js";
import { teardownRecord } from "./teardown.js";

export interface OciRuntimeContext {
  /** containerd's namespace, or vigil's. */
  readonly namespace: string;
  /** Where cores have their entries. */
  readonly runDirectory: string;
  /** The host's cgroup trees, looked at when the first container comes. */
  readonly detect?: () => CgroupHost;
}

const removeTimeoutMs = 10_000;
const SIGKILL = 9;

/** Another OCI runtime's command line (runc, crun, youki), run by the core: which program, each container's options say. */
export function createOciRuntime(core: OciCommands, context: OciRuntimeContext): Runtime {
  const { namespace, runDirectory, detect = detectCgroups } = context;
  let host: CgroupHost | undefined;
  const cgroups = (): CgroupHost => (host ??= detect());

  async function attempt<T>(step: RuntimeStep, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (thrown) {
      throw ociFailure(step, thrown);
    }
  }

  const script = (key: string, ops: readonly Op[]): Promise<void> => core.script(key, encodeOps(ops), { undo: false });

  function call(key: string, { command, directory }: Omit<OciHandle, "placement">, words: string[], input = ""): Op {
    return run(ociStep(command, directory, key).program("other", words, input));
  }

  async function invoke(step: RuntimeStep, key: string, container: ContainerRef, words: string[], input = "") {
    const handle = decodeOciHandle(container);
    // The runtime does not know it, and has no place for its log yet.
    if (handle.restore) throw new VigilError("not_found", "no such container: it is restored by its start");
    await attempt(step, () => script(key, [call(key, handle, words, input)]));
  }

  /** Once the runtime has ended the container, or knows nothing of it. */
  async function clear(key: string, id: string, handle: OciHandle): Promise<void> {
    const directories = handle.placement.places.map(({ directory }) => directory);
    const step = `${key}/delete`;
    // One that was never restored has no directory yet, where the runtime is to log to.
    const directory = handle.restore ? [mkdir(handle.directory, directoryMode)] : [];
    await script(step, [...directory, call(step, handle, deleteByForce(id))]).catch((thrown: unknown) => {
      if (!saysUnknown(thrown)) throw thrown;
    });
    await script(`${key}/remove`, [
      ...(directories.length > 0 ? [cgroupKill(directories)] : []),
      ...directories.map((directory) => cgroupRemove(directory, removeTimeoutMs)),
      ...(handle.mountPoint === "" ? [] : [umountTree(handle.mountPoint)]),
      sweep(handle.directory),
    ]);
    await core.forget(`${key}/forget`, id, "");
  }

  async function adopt(
    key: string,
    request: CreateSpec,
    plan: OciCreatePlan,
    unwatched: (handle: OciHandle) => Promise<void>,
  ): Promise<CreatedContainer> {
    const { id, bundle } = request;
    const { pid, cgroups: init } = await core.ociBirth(
      `${key}/birth`,
      plan.birth,
      plan.oci,
      request.checkpoint === "" ? "create" : "restore",
    );
    const placement = placementFound(cgroups(), init, readKernelFile("/proc/self/cgroup") ?? "");
    const handle = { ...plan.handle, placement };
    const teardown = teardownRecord(placement, handle.mountPoint || undefined, { remains: plan.remains });
    try {
      await core.watch(`${key}/watch`, id, watchOf(placement), teardown);
    } catch (thrown) {
      await unwatched(handle);
      throw thrown;
    }
    return { pid, handle: encodeOciHandle(handle), privatePids: hasPrivatePids(bundle) };
  }

  async function create(key: string, request: CreateSpec): Promise<CreatedContainer> {
    const plan = planOciCreate(request, { key, namespace, runDirectory });
    if (request.checkpoint === "") return adopt(key, request, plan, (handle) => clear(key, request.id, handle));
    const placement = placementOf({ mode: cgroups().mode, hierarchies: [] }, "");
    const handle = encodeOciHandle({ ...plan.handle, placement, restore: request });
    return { pid: 0, handle, privatePids: hasPrivatePids(request.bundle) };
  }

  const explained = (step: CriuStep, key: string, thrown: unknown, place: CriuPlace): Promise<VigilError> =>
    explainCriu(step, ociFailure(step, thrown), place, (ops) => script(`${key}/log`, ops));

  async function restore(key: string, request: CreateSpec): Promise<RuntimeHandle> {
    const { id, bundle, options } = request;
    const plan = planOciCreate(request, { key, namespace, runDirectory });
    const { directory } = plan.handle;
    const work = workDirectory(options, directory);
    try {
      // It is told of, so its end will be, too: what remains is for its deletion.
      const end = (handle: OciHandle) => script(`${key}/end`, [call(`${key}/end`, handle, deleteByForce(id))]);
      const { handle } = await adopt(key, request, plan, end);
      return handle;
    } catch (thrown) {
      throw await explained("restore", key, thrown, { work, ownWork: work === directory, bundle });
    }
  }

  return {
    create: (key, request) => attempt("create", () => create(key, request)),

    async start(key, container) {
      const { id } = container;
      const handle = decodeOciHandle(container);
      if (handle.restore) return restore(key, handle.restore);
      await attempt("start", () => core.ociStart(`${key}/start`, id, encodeOps([call(key, handle, ["start", id])])));
      return undefined;
    },

    exec: (key, container, spec) =>
      attempt("exec", async () => {
        const plan = planOciExec(container, decodeOciHandle(container), spec, { key, namespace });
        const { pid } = await core.ociBirth(`${key}/birth`, plan.birth, plan.oci, "create");
        return pid;
      }),

    async signal(key, container, execId, signal) {
      if (execId === "") {
        await invoke("kill", `${key}/signal`, container, ["kill", container.id, String(signal)]);
      } else {
        await attempt("kill", () => core.signal(`${key}/signal`, container.id, execId, signal));
      }
      const thaw = signal === SIGKILL ? thawForDeath(decodeOciHandle(container).placement) : [];
      if (thaw.length > 0) await attempt("kill", () => script(`${key}/thaw`, thaw));
    },

    async signalAll(key, container, signal) {
      const { places } = decodeOciHandle(container).placement;
      const all = invoke("kill", `${key}/signal`, container, ["kill", "--all", container.id, String(signal)]);
      if (signal !== SIGKILL || places.length === 0) return all;
      // Not every runtime kills what an init left behind.
      const failure = await all.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      await attempt("kill", () => script(`${key}/kill`, [cgroupKill(places.map(({ directory }) => directory))])).catch(
        (thrown: unknown) => {
          throw failure ?? thrown;
        },
      );
    },

    pause: (key, container) => invoke("pause", `${key}/pause`, container, ["pause", container.id]),

    async resume(key, container) {
      try {
        await invoke("resume", `${key}/resume`, container, ["resume", container.id]);
      } catch (thrown) {
        // A runtime thaws no container whose init is dead; those that it left behind are frozen all the same.
        const place = freezerPlace(decodeOciHandle(container).placement);
        const state =
          place && readKernelFile(`${place.directory}/${place.version === 1 ? "freezer.state" : "cgroup.freeze"}`);
        if (!place || (state?.trim() !== "FROZEN" && state?.trim() !== "1")) throw thrown;
        await attempt("resume", () =>
          script(`${key}/thaw`, [cgroupFreeze(place.version, place.directory, false, freezeTimeoutMs)]),
        );
      }
    },

    update: (key, container, resources) =>
      invoke("update", `${key}/update`, container, ["update", "--resources", "-", container.id], resources),

    async checkpoint(key, container, spec) {
      const { id, bundle } = container;
      const handle = decodeOciHandle(container);
      const work = spec.workDirectory || handle.directory;
      const ownWork = work === handle.directory;
      const program = ociStep(handle.command, handle.directory, key).program(
        "checkpoint",
        checkpointWords(id, spec, work),
      );
      try {
        await script(`${key}/dump`, [
          forgetLog("checkpoint", work),
          run(program),
          ...(ownWork ? clearWork("checkpoint", work) : []),
        ]);
      } catch (thrown) {
        throw await explained("checkpoint", key, thrown, { work, ownWork, bundle });
      }
    },

    async pids(container) {
      const place = processPlace(decodeOciHandle(container).placement);
      return place ? membersBelow(place.directory) : [];
    },

    stats: async (container) => readStats(decodeOciHandle(container).placement),

    remove: (key, container) => attempt("delete", () => clear(key, container.id, decodeOciHandle(container))),

    resize: (key, { id }, execId, columns, rows) =>
      attempt("resize", () => core.resize(`${key}/resize`, id, execId, columns, rows)),

    closeStdin: (key, { id }, execId) => core.closeStdin(`${key}/close-stdin`, id, execId),

    drain: (key, { id }, execId, timeoutMs) => core.drain(`${key}/drain`, id, execId, timeoutMs),

    forgetExec: (key, { id }, execId) => core.forget(`${key}/forget`, id, execId),
  };
}
