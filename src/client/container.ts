import { join } from "node:path";
import { VigilError } from "../base/errors.js";
import { Options } from "../gen/containerd/runc/v1/oci.js";
import type { Mount } from "../gen/containerd/types/mount.js";
import { connectShim, type Shim } from "./shim.js";
import { deleteAfterShim, type ShimCommand, startShim } from "./spawn.js";
import type { StdioSpec } from "./stdio.js";

/** A container to be made: the shim to make it, in `bundle`, and what the Create request says. */
export interface NewContainer extends ShimCommand {
  /** Mounted on `rootfs` in the bundle; none when config.json names the root file system itself. */
  readonly rootfs: readonly Mount[];
  readonly stdio: StdioSpec;
  /** An OCI runtime command to use in place of vigil's own. */
  readonly runtime?: string | undefined;
}

/** Starts a shim and has it make the container, which then waits for Start. After a failure nothing of either is left. */
export async function createContainer(container: NewContainer): Promise<Shim> {
  const shim = connectShim(await startShim(container));
  try {
    await shim.task.create({
      id: container.id,
      bundle: container.bundle,
      rootfs: [...container.rootfs],
      ...container.stdio,
      options: runtimeOptions(container.runtime),
    });
    return shim;
  } catch (failure) {
    try {
      await endShim(shim, container);
    } catch (second) {
      const both = `${VigilError.from(failure).message}; and clearing up failed: ${VigilError.from(second).message}`;
      throw new VigilError(VigilError.from(failure).code, both, { cause: new AggregateError([failure, second]) });
    } finally {
      shim.close();
    }
    throw failure;
  }
}

function runtimeOptions(runtime: string | undefined): { typeUrl: string; value: Buffer } | undefined {
  if (runtime === undefined) return undefined;
  const options = Options.fromPartial({ binaryName: runtime });
  return { typeUrl: Options.$type, value: Buffer.from(Options.encode(options).finish()) };
}

/**
 * Removes a container that has stopped or never ran; its shim ends with the last of them. Then the shim's program clears away
 * what is left, as it does for containerd: the registration, and everything if the shim was dead.
 */
export async function deleteContainer(shim: Shim, command: ShimCommand): Promise<void> {
  try {
    await shim.task.delete({ id: command.id, execId: "" });
  } catch (error) {
    // Gone: somebody else's Delete came first, or the shim itself is no more.
    if (!["not_found", "unavailable"].includes(VigilError.from(error).code)) throw error;
  }
  await endShim(shim, command);
}

async function endShim(shim: Shim, command: ShimCommand): Promise<void> {
  try {
    await shim.task.shutdown({ id: command.id, now: false });
  } catch (error) {
    // Its last answer may not come through.
    if (VigilError.from(error).code !== "unavailable") throw error;
  }
  await deleteAfterShim(command);
}

/** Where the FIFOs of a container made here are. */
export function stdioPath(bundle: string): string {
  return join(bundle, "io");
}
