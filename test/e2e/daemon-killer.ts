// Kills a shim's Node daemon at a chosen moment of its container's life, and says what was going on.
import { coreOf, daemonOf } from "../support/container-processes.js";
import type { Containerd } from "../support/containerd.js";
import { alive, killNow } from "../support/process-tree.js";

export interface Shot {
  readonly afterMs: number;
  /** The newest event of the container when the daemon died. */
  readonly lastEvent: string;
}

/**
 * Waits for the core of a container to appear and, `afterMs` later, kills its daemon. Resolves without a shot when the
 * container was over first.
 */
export async function killDaemonLater(
  containerd: Containerd,
  id: string,
  afterMs: number,
  over: AbortSignal,
): Promise<Shot | undefined> {
  const mine = () => coreOf(containerd, id);
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  let core = mine();
  while (core === undefined && !over.aborted) {
    await pause(2);
    core = mine();
  }
  if (core === undefined) return undefined;
  await pause(afterMs);
  while (!over.aborted && alive(core)) {
    const daemon = daemonOf(core);
    if (daemon !== undefined && killNow(daemon.pid)) {
      return { afterMs, lastEvent: containerd.events.ofContainer(id).at(-1)?.topic ?? "none" };
    }
    await pause(2);
  }
  return undefined;
}
