import { renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { userInfo } from "node:os";
import { join, resolve } from "node:path";
import { VigilError } from "../base/errors.js";
import { type Bundle, openBundle, rootDirectory } from "../host/bundle.js";
import type { CreatedContainer, RuntimeOptions } from "../task/ports.js";
import { createRuntime } from "./container.js";
import type { Context } from "./context.js";
import type { Solo } from "./solo.js";
import { lookAtProcess, startSocketName } from "./store.js";

export interface CreateOptions {
  readonly bundle?: string;
  readonly consoleSocket?: string;
  readonly pidFile?: string;
  /** False: MS_MOVE and chroot in place of pivot_root. */
  readonly pivot?: boolean;
  readonly newKeyring?: boolean;
  readonly preserveFds?: number;
}

export const noOptions: RuntimeOptions = {
  noPivotRoot: false,
  noNewKeyring: false,
  shimCgroup: "",
  ioUid: 0,
  ioGid: 0,
  binaryName: "",
  root: "",
  systemdCgroup: false,
  criuImagePath: "",
  criuWorkPath: "",
};

/** Written beside and renamed, so that nobody reads half a number. */
export function writePidFile(path: string, pid: number): void {
  const target = resolve(path);
  writeFileSync(`${target}.new`, String(pid));
  renameSync(`${target}.new`, target);
}

/** Up to an init that waits for `start`; on failure nothing remains. `wait`: the caller stays until the init has ended. */
export async function create(context: Context, id: string, options: CreateOptions, wait = false): Promise<Solo> {
  const path = resolve(options.bundle ?? ".");
  const found = openBundle(path);
  const { spec, path: bundle } = found;
  const { terminal } = spec.process;
  if (options.consoleSocket !== undefined && !terminal) {
    throw new VigilError("invalid_argument", "--console-socket: config.json: process.terminal is not set");
  }
  if (terminal && options.consoleSocket === undefined && !wait) {
    throw new VigilError("invalid_argument", "a detached container with a terminal needs --console-socket");
  }
  const directory = context.store.reserve(id);
  try {
    const { consoleSocket } = options;
    const { port, solo } = createRuntime(context, directory, { consoleSocket, preserved: preservedFds(options), wait });
    const created = await port.create("", {
      id,
      bundle,
      rootfs: [],
      stdio: { stdin: "", stdout: "", stderr: "", terminal },
      options: { ...noOptions, noPivotRoot: options.pivot === false, noNewKeyring: options.newKeyring === false },
      checkpoint: "",
    });
    try {
      keep(context, { id, ...found, ...created });
      if (options.pidFile !== undefined) writePidFile(options.pidFile, created.pid);
    } catch (thrown) {
      await port.remove("", { id, bundle, handle: created.handle });
      throw thrown;
    }
    return solo;
  } catch (thrown) {
    rmSync(directory, { recursive: true, force: true });
    throw thrown;
  }
}

export function keep(context: Context, container: { id: string } & Bundle & CreatedContainer): void {
  const { id, path: bundle, spec, pid, handle, privatePids } = container;
  const owner = userName();
  context.store.save({
    id,
    ociVersion: spec.ociVersion,
    bundle,
    rootfs: rootDirectory(container, false),
    pid,
    startTime: lookAtProcess(pid).startTime,
    created: new Date().toISOString(),
    owner: owner === "root" ? "" : owner,
    annotations: Object.fromEntries(spec.annotations),
    privatePids,
    handle,
  });
}

/** As runc names somebody whom the password file does not know. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `#${process.getuid?.()}`;
  }
}

/** Beside those that are asked for the ones of socket activation (sd_listen_fds(3)), which come first. */
export function preservedFds(options: { readonly preserveFds?: number }): number {
  const { LISTEN_FDS, LISTEN_PID } = process.env;
  const listening = LISTEN_FDS !== undefined && (!LISTEN_PID || LISTEN_PID === String(process.pid));
  return (options.preserveFds ?? 0) + (listening ? Number(LISTEN_FDS) || 0 : 0);
}

/** The init has been let go: it is `created` no more. */
export function markStarted(directory: string): void {
  unlinkSync(join(directory, startSocketName));
}
