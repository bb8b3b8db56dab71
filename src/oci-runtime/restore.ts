import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { VigilError } from "../base/errors.js";
import { openBundle } from "../host/bundle.js";
import { decodeHandle } from "../host/runtime/handle.js";
import type { CriuVerbOptions } from "./checkpoint.js";
import { createRuntime } from "./container.js";
import type { Context } from "./context.js";
import { keep, noOptions, writePidFile } from "./create.js";
import { deleteContainer } from "./delete.js";
import type { Solo } from "./solo.js";

/** How the checkpoint was taken is beside its images, so that of CriuVerbOptions only the places count. */
export interface RestoreOptions extends CriuVerbOptions {
  readonly bundle?: string;
  readonly consoleSocket?: string;
  readonly pidFile?: string;
  readonly detach?: boolean;
}

async function make(context: Context, id: string, directory: string, options: RestoreOptions): Promise<Solo> {
  const found = openBundle(resolve(options.bundle ?? "."));
  const { spec, path: bundle } = found;
  const { terminal } = spec.process;
  const { consoleSocket, workPath, detach } = options;
  if (terminal && consoleSocket === undefined && detach === true) {
    throw new VigilError("invalid_argument", "a detached container with a terminal needs --console-socket");
  }
  const { port, solo } = createRuntime(context, directory, { consoleSocket, preserved: 0, wait: detach !== true });
  const created = await port.create("", {
    id,
    bundle,
    rootfs: [],
    stdio: { stdin: "", stdout: "", stderr: "", terminal },
    options: { ...noOptions, criuWorkPath: workPath === undefined ? "" : resolve(workPath) },
    checkpoint: resolve(options.imagePath),
  });
  const handle = (await port.start("", { id, bundle, handle: created.handle })) ?? created.handle;
  const container = { id, bundle, handle };
  try {
    const { pid } = decodeHandle(container);
    keep(context, { id, ...found, ...created, handle, pid });
    if (options.pidFile !== undefined) writePidFile(options.pidFile, pid);
  } catch (thrown) {
    await port.remove("", container);
    throw thrown;
  }
  return solo;
}

/** In the foreground waits for the end, removes the container, and gives its exit status. */
export async function restore(context: Context, id: string, options: RestoreOptions): Promise<number> {
  const { manageCgroupsMode: mode = "soft" } = options;
  if (mode !== "soft") throw new VigilError("unimplemented", `restore: --manage-cgroups-mode ${mode}: not implemented`);
  const directory = context.store.reserve(id);
  const solo = await make(context, id, directory, options).catch((thrown: unknown) => {
    rmSync(directory, { recursive: true, force: true });
    throw thrown;
  });
  if (options.detach === true) return 0;
  const status = await solo.exited();
  await deleteContainer(context, id, { force: true });
  return status;
}
