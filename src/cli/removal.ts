import { rm } from "node:fs/promises";
import { removeBundle } from "../client/bundle.js";
import { deleteContainer } from "../client/container.js";
import { bundlePath, findShim, logPath, type Places } from "../client/places.js";
import type { Shim } from "../client/shim.js";
import { deleteAfterShim, type ShimCommand } from "../client/spawn.js";

/** A container to be taken away with all that was made for it here. */
export interface Removal {
  readonly at: Places;
  readonly namespace: string;
  readonly id: string;
  /** Where its config.json is; may be somebody else's directory, which then stays. */
  readonly bundle: string;
}

export async function removeStopped(shim: Shim, removal: Removal): Promise<void> {
  await deleteContainer(shim, commandOf(removal));
  await removeFiles(removal);
}

/** For a container whose shim is gone. */
export async function removeDead(removal: Removal): Promise<void> {
  await deleteAfterShim(commandOf(removal));
  await removeFiles(removal);
}

function commandOf({ at, namespace, id, bundle }: Removal): ShimCommand {
  return { binary: findShim(), namespace, id, bundle: bundle || bundlePath(at, namespace, id) };
}

async function removeFiles({ at, namespace, id }: Removal): Promise<void> {
  await removeBundle(bundlePath(at, namespace, id));
  await rm(logPath(at, namespace, id), { force: true });
}
