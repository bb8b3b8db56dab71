import { resolve } from "node:path";
import { VigilError } from "../base/errors.js";
import { openContainer } from "./container.js";
import type { Context } from "./context.js";
import { deleteContainer } from "./delete.js";

export interface CriuVerbOptions {
  readonly imagePath: string;
  readonly workPath?: string;
  readonly tcpEstablished?: boolean;
  readonly extUnixSk?: boolean;
  readonly shellJob?: boolean;
  readonly fileLocks?: boolean;
  readonly manageCgroupsMode?: string;
  readonly emptyNs?: readonly string[];
}

export interface CheckpointOptions extends CriuVerbOptions {
  readonly leaveRunning?: boolean;
}

/** Writes images; unless it is to go on, nothing of the container is left afterwards, as with runc. */
export async function checkpoint(context: Context, id: string, options: CheckpointOptions): Promise<void> {
  const container = openContainer(context, id);
  const status = container.status();
  if (status !== "running" && status !== "paused") {
    throw new VigilError("failed_precondition", `container ${id} cannot be checkpointed: ${status}`);
  }
  const exit = options.leaveRunning !== true;
  await container.runtime().port.checkpoint("", container, {
    imageDirectory: resolve(options.imagePath),
    workDirectory: options.workPath === undefined ? "" : resolve(options.workPath),
    exit,
    openTcp: options.tcpEstablished === true,
    externalUnixSockets: options.extUnixSk === true,
    terminal: options.shellJob === true,
    fileLocks: options.fileLocks === true,
    emptyNamespaces: options.emptyNs ?? [],
    cgroupsMode: options.manageCgroupsMode ?? "",
  });
  if (exit) await deleteContainer(context, id, { force: true });
}
