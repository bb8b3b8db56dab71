import { rm } from "node:fs/promises";
import { VigilError } from "../base/errors.js";
import { removeBundle } from "../client/bundle.js";
import { deleteContainer } from "../client/container.js";
import { bundlePath, findShim, logPath, type Places } from "../client/places.js";
import type { Shim } from "../client/shim.js";
import { deleteAfterShim } from "../client/spawn.js";

/** A container to be taken away with all that was made for it here. */
export interface Removal {
  readonly at: Places;
  readonly namespace: string;
  readonly id: string;
  /** Where its config.json is; may be somebody else's directory, which then stays. */
  readonly bundle: string;
}

export async function removeStopped(shim: Shim, removal: Removal): Promise<void> {
  if (!(await deleteContainer(shim, removal.id))) return removeDead(removal);
  await removeFiles(removal);
}

/** For a container whose shim is gone: the shim's program clears away what is left, in place of the dead one. */
export async function removeDead(removal: Removal): Promise<void> {
  const { namespace, id, bundle, at } = removal;
  const cwd = bundle || bundlePath(at, namespace, id);
  try {
    await deleteAfterShim({ binary: findShim(), namespace, id, bundle: cwd });
  } catch (cause) {
    throw new VigilError("internal", `${namespace}/${id} could not be cleared away: ${(cause as Error).message}`, {
      cause,
    });
  }
  await removeFiles(removal);
}

async function removeFiles({ at, namespace, id }: Removal): Promise<void> {
  await removeBundle(bundlePath(at, namespace, id));
  await rm(logPath(at, namespace, id), { force: true });
}
