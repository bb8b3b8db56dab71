import type { CheckpointSpec, ContainerRef, CreatedContainer, CreateSpec, RuntimeHandle } from "../../task/ports.js";
import { type Bundle, openBundle } from "../bundle.js";
import type { CoreCommands } from "../core/commands.js";
import { encodeOps } from "../core/ops.js";
import { type CriuPlace, type CriuStep, explainCriu, missingCriu } from "./criu-failure.js";
import { runtimeFailure } from "./failure.js";
import { decodeHandle, encodeHandle } from "./handle.js";
import type { PlanSurroundings } from "./plan.js";
import { planCheckpoint } from "./plan-checkpoint.js";
import { planRestore, type RestorePlan, restoreWork } from "./plan-restore.js";

interface Surroundings {
  /** CRIU's program. */
  readonly criu: string;
  of(request: CreateSpec, bundle: Bundle): Promise<PlanSurroundings>;
}

/** Containers to images and back, with CRIU. */
export function nativeCheckpoints(core: CoreCommands, { criu, of }: Surroundings) {
  async function plan(request: CreateSpec): Promise<RestorePlan> {
    const bundle = openBundle(request.bundle);
    return planRestore(bundle, request, await of(request, bundle), criu);
  }

  async function attempt<T>(step: "create" | CriuStep, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (thrown) {
      throw runtimeFailure(step, thrown);
    }
  }

  async function failure(step: CriuStep, key: string, thrown: unknown, place: CriuPlace): Promise<Error> {
    const script = (ops: Parameters<typeof encodeOps>[0]) => core.script(`${key}/log`, encodeOps(ops), { undo: false });
    const words = `OCI runtime ${step} failed: CRIU`;
    return (
      missingCriu(step, thrown, criu) ?? explainCriu(step, runtimeFailure(step, thrown), { ...place, words }, script)
    );
  }

  return {
    /** Nothing is made, but what can be refused is refused now. */
    create: (request: CreateSpec): Promise<CreatedContainer> =>
      attempt("create", async () => {
        const { namespaces, placement } = await plan(request);
        const { ioUid, ioGid } = request.options;
        const none = { placement: { ...placement, places: [] }, namespaces: 0n, pid: 0, mountPoint: "", boundRoot: "" };
        const handle = encodeHandle({ ...none, keyring: "", ioUid, ioGid, later: undefined, restore: request });
        return { pid: 0, handle, privatePids: namespaces.isNew("pid") };
      }),

    async restore(key: string, request: CreateSpec): Promise<RuntimeHandle> {
      const planned = await attempt("restore", () => plan(request));
      const { placement, mountPoint, boundRoot, keyring, namespaces, later } = planned;
      const { ioUid, ioGid } = request.options;
      try {
        const pid = await core.restore(`${key}/birth`, planned.birth, planned.restore);
        const made = { placement, namespaces: namespaces.all, pid, mountPoint, boundRoot, keyring };
        return encodeHandle({ ...made, ioUid, ioGid, later });
      } catch (thrown) {
        const work = restoreWork(request);
        const ownWork = work === request.checkpoint;
        throw await failure("restore", key, thrown, { work, ownWork, bundle: request.bundle });
      }
    },

    async checkpoint(key: string, container: ContainerRef, spec: CheckpointSpec): Promise<void> {
      const { bundle } = container;
      const { ops, work, ownWork } = await attempt("checkpoint", async () =>
        planCheckpoint(decodeHandle(container), openBundle(bundle), spec, criu),
      );
      try {
        await core.script(`${key}/dump`, encodeOps(ops), { undo: false });
      } catch (thrown) {
        throw await failure("checkpoint", key, thrown, { work, ownWork, bundle });
      }
    },
  };
}
