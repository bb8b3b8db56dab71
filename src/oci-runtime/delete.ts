import { VigilError } from "../base/errors.js";
import { awaitEnd, cgroupKill, cgroupRemove, encodeOps } from "../host/core/ops.js";
import { createRuntime, openContainer } from "./container.js";
import type { Context } from "./context.js";
import { teardownCgroups } from "./store.js";

export interface DeleteOptions {
  /** Kill it first; one that does not exist is no error. */
  readonly force?: boolean;
}

const SIGKILL = 9;
const removeTimeoutMs = 10_000;

/** Removes what a container has left: processes, cgroups, state. A created one is killed, a running one only by force. */
export async function deleteContainer(context: Context, id: string, { force }: DeleteOptions): Promise<void> {
  if (force === true && !context.store.ids().includes(id)) return;
  if (force === true && context.store.load(id) === undefined) return removeUnfinished(context, id);
  const container = openContainer(context, id);
  const status = container.status();
  if (force !== true && status !== "stopped" && status !== "created") {
    throw new VigilError("failed_precondition", `cannot delete container ${id} that is not stopped: ${status}`);
  }
  const { port, solo } = container.runtime();
  if (status !== "stopped") {
    await killIfThere(() => port.signal("", container, "", SIGKILL));
    // Without a cgroup nothing else tells when it is gone.
    const { pid, startTime } = container.stored;
    await solo.script("", encodeOps([awaitEnd(pid, BigInt(startTime), removeTimeoutMs)]), { undo: false });
  }
  await port.remove("", container);
  context.store.remove(id);
}

/** Its `create` was killed: what it was about to make is in the record that it wrote first. */
async function removeUnfinished(context: Context, id: string): Promise<void> {
  const directory = context.store.directory(id);
  const cgroups = teardownCgroups(directory);
  const { solo } = createRuntime(context, directory);
  const ops = [cgroupKill(cgroups), ...cgroups.map((path) => cgroupRemove(path, removeTimeoutMs))];
  await solo.script("", encodeOps(ops), { undo: false });
  context.store.remove(id);
}

async function killIfThere(kill: () => Promise<void>): Promise<void> {
  try {
    await kill();
  } catch (thrown) {
    if (VigilError.from(thrown).code !== "not_found") throw thrown;
  }
}
