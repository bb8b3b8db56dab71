import { existsSync } from "node:fs";
import { constants } from "node:os";
import { VigilError } from "../base/errors.js";
import { isIdentifier } from "../client/names.js";
import { bundlePath, ownNamespace, type Places, places } from "../client/places.js";
import type { Shim } from "../client/shim.js";
import { Status } from "../gen/containerd/types/task/task.js";
import { eachName, type Found, findContainer, withShim } from "./find.js";
import { printJson } from "./output.js";
import { type Removal, removeDead, removeStopped } from "./removal.js";
import { statusName } from "./status.js";
import type { CommonOptions } from "./verb.js";

export interface RemoveOptions extends CommonOptions {
  readonly force?: boolean;
}

export async function remove(names: readonly string[], options: RemoveOptions): Promise<void> {
  const at = places();
  await eachName(names, async (name) => {
    const removal = locate(name, options, at);
    await removeOne(removal, Boolean(options.force));
    if (options.json) printJson({ namespace: removal.namespace, id: removal.id, removed: true });
  });
}

/** By its record; or only by the bundle made for it, which a crash of the machine or of `vigil run` can leave alone. */
function locate(name: string, { namespace, force }: RemoveOptions, at: Places): Removal & Partial<Pick<Found, "shim">> {
  try {
    return { ...findContainer(name, namespace, at), at };
  } catch (error) {
    const bundle = bundlePath(at, ownNamespace, name);
    if (force && isIdentifier(name) && existsSync(bundle)) return { id: name, namespace: ownNamespace, bundle, at };
    throw error;
  }
}

async function removeOne(removal: Removal & Partial<Pick<Found, "shim">>, force: boolean): Promise<void> {
  const { namespace, id, shim: record } = removal;
  if (namespace !== ownNamespace && !force) {
    const owner = `its manager's to remove (containerd: ctr -n ${namespace} task rm ${id})`;
    throw new VigilError(
      "failed_precondition",
      `${namespace}/${id} is ${owner}; with -f vigil removes it all the same`,
    );
  }
  if (!record?.alive) {
    if (!force) throw new VigilError("unavailable", `the shim of ${namespace}/${id} has died`);
    return removeDead(removal);
  }
  await withShim(record, async (shim) => {
    if (force) await killAndWait(shim, id);
    else await refuseRunning(shim, id);
    await removeStopped(shim, removal);
  });
}

async function refuseRunning(shim: Shim, id: string): Promise<void> {
  const { status } = await shim.task.state({ id, execId: "" });
  if (status === Status.STOPPED || status === Status.CREATED) return;
  const next = `end it with \`vigil kill ${id}\`, or remove it with -f`;
  throw new VigilError("failed_precondition", `${id} is ${statusName(status)}; ${next}`);
}

async function killAndWait(shim: Shim, id: string): Promise<void> {
  const { task } = shim;
  try {
    await task.kill({ id, execId: "", signal: constants.signals.SIGKILL, all: true });
    await task.wait({ id, execId: "" }, { timeoutMs: 30_000 });
  } catch (error) {
    // It has ended already, or never had a process.
    if (VigilError.from(error).code !== "not_found") throw error;
  }
}
