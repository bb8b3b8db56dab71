import type { VigilError } from "../base/errors.js";
import { SandboxDefinition } from "../gen/containerd/runtime/sandbox/v1/sandbox.js";
import type { Exit } from "../task/exit-waiters.js";
import type { Registry } from "../task/registry.js";
import type { Sandbox } from "../task/sandbox.js";
import { createSandbox, shutdownSandbox, startSandbox, stopSandbox } from "../task/sandbox-life.js";
import { toTimestamp } from "./convert.js";
import { answering, change, type Method, question, wait } from "./method.js";
import { toSandboxSpec } from "./sandbox-spec.js";

export interface SandboxServiceOptions {
  readonly registry: Registry;
  readonly corePid: number;
  /** ShutdownSandbox was answered, and nothing is left. */
  end(): void;
}

/** Go's names of what Node runs on. */
const architectures: Readonly<Record<string, string>> = {
  x64: "amd64",
  ia32: "386",
  ppc64: "ppc64le",
  loong64: "loong64",
};

const millisecondsPerSecond = 1000;

/**
 * From the answer to ShutdownSandbox to the end of the shim: a ttrpc client of Go that finds an answer and the end of its
 * connection together takes one of them by chance, and containerd does not forgive the other.
 */
const answerTakenMs = 100;
const empty = () => ({});

/** The words of the CRI's PodSandboxState, which containerd looks for. */
const stateOf = ({ status }: Sandbox): string => (status === "ready" ? "SANDBOX_READY" : "SANDBOX_NOTREADY");

/** containerd.runtime.sandbox.v1.Sandbox: a pod whose shim is all there is of it. */
export function sandboxService({ registry, corePid, end }: SandboxServiceOptions): ReadonlyMap<string, Method> {
  const { methods } = SandboxDefinition;
  return new Map([
    change(methods.createSandbox, (request, call) =>
      createSandbox(registry, async () => toSandboxSpec(request), answering(call, empty)),
    ),
    change(methods.startSandbox, ({ sandboxId }, call) =>
      startSandbox(
        registry,
        sandboxId,
        answering(call, ({ createdAt }) => ({ pid: corePid, createdAt: toTimestamp(createdAt), spec: undefined })),
      ),
    ),
    question(methods.platform, ({ sandboxId }) => {
      registry.getSandbox(sandboxId);
      const architecture = architectures[process.arch] ?? process.arch;
      return { platform: { os: "linux", architecture, variant: "", osVersion: "", osFeatures: [] } };
    }),
    change(methods.stopSandbox, ({ sandboxId, timeoutSecs }, call) =>
      stopSandbox(registry, sandboxId, timeoutSecs * millisecondsPerSecond, answering(call, empty)),
    ),
    wait(methods.waitSandbox, ({ sandboxId }, answer, refuse) =>
      registry.getSandbox(sandboxId).wait({
        exited: ({ status, at }: Exit) => answer({ exitStatus: status, exitedAt: toTimestamp(at) }),
        gone: (error: VigilError) => refuse(error),
      }),
    ),
    question(methods.sandboxStatus, ({ sandboxId, verbose }) => {
      const sandbox = registry.getSandbox(sandboxId);
      return {
        sandboxId,
        pid: corePid,
        state: stateOf(sandbox),
        info: verbose ? { info: details(registry, sandbox, corePid) } : {},
        createdAt: toTimestamp(sandbox.createdAt),
        exitedAt: toTimestamp(sandbox.exit?.at ?? 0n),
        extra: undefined,
      };
    }),
    question(methods.pingSandbox, ({ sandboxId }) => {
      registry.getSandbox(sandboxId);
      return {};
    }),
    change(methods.shutdownSandbox, async ({ sandboxId }, call) => {
      const reply = await shutdownSandbox(registry, sandboxId, answering(call, empty));
      registry.world.clock.after(answerTakenMs, () => {
        if (registry.empty) end();
      });
      return reply;
    }),
    question(methods.sandboxMetrics, async ({ sandboxId }) => {
      const { spec } = registry.getSandbox(sandboxId);
      const { clock, sandboxRuntime } = registry.world;
      const { typeUrl, value } = await sandboxRuntime.stats(spec);
      return { metrics: { timestamp: toTimestamp(clock.now()), id: sandboxId, data: { typeUrl, value } } };
    }),
  ]);
}

/** JSON under the key where a pause container's details are. */
function details(registry: Registry, { spec, status }: Sandbox, pid: number): string {
  const containers = [...registry.containers].map(({ id }) => id);
  return JSON.stringify({ pid, status, ...spec, containers });
}
