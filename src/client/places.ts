import { accessSync, constants, existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { VigilError } from "../base/errors.js";

/** The containerd namespace of containers that no manager made. */
export const ownNamespace = "vigil";

export const shimBinaryName = "containerd-shim-vigil-v1";

/** Where things live on this host; `VIGIL_RUN`, `VIGIL_STATE`, `VIGIL_ROOTFS` and `VIGIL_SHIM` override. */
export interface Places {
  /** Sockets, records of running shims, bundles of containers made here: gone after a reboot. */
  readonly run: string;
  /** Journals, OOM reports, logs: kept. */
  readonly state: string;
}

export function places(env: NodeJS.ProcessEnv = process.env): Places {
  return { run: resolve(env.VIGIL_RUN || "/run/vigil"), state: resolve(env.VIGIL_STATE || "/var/lib/vigil") };
}

export function bundlePath(at: Places, namespace: string, id: string): string {
  return join(at.run, "bundles", namespace, id);
}

/** Not inside a state directory of a shim: those are named `GROUP-BIRTH` and end in digits. */
export function logPath(at: Places, namespace: string, id: string): string {
  return join(at.state, namespace, `${id}.log`);
}

/**
 * The directories in which an installation's programs and data may be, seen from the running file: `PREFIX/lib/vigil/cli.js`
 * and `PREFIX/bin/vigil` alike have PREFIX two steps up or one.
 */
function prefixes(entry: string): string[] {
  const here = dirname(resolve(entry));
  return [resolve(here, ".."), resolve(here, "../..")];
}

/** The command line of this program itself, to be followed by a verb: for what must go on without it. */
export function ownCommand(entry: string = process.argv[1] ?? ""): string[] {
  // An installed bundle is not a program; boot.cjs beside it runs it.
  const boot = join(dirname(resolve(entry)), "boot.cjs");
  const installed = entry.endsWith("cli.js") && existsSync(boot);
  return installed ? [process.execPath, boot, "cli"] : [process.execPath, ...process.execArgv, resolve(entry)];
}

export function findShim(env: NodeJS.ProcessEnv = process.env, entry: string = process.argv[1] ?? ""): string {
  if (env.VIGIL_SHIM) return resolve(env.VIGIL_SHIM);
  const besides = prefixes(entry).map((prefix) => join(prefix, "bin"));
  const onPath = (env.PATH ?? "").split(":").filter((directory) => directory !== "");
  for (const directory of [...besides, ...onPath]) {
    const candidate = join(directory, shimBinaryName);
    if (isExecutable(candidate)) return candidate;
  }
  throw new VigilError(
    "not_found",
    `${shimBinaryName} is neither beside this program nor in PATH; install it (make install) or set VIGIL_SHIM`,
  );
}

/** The small root file system that `make setup` builds, used when a container is run without one of its own. */
export function findRootfs(env: NodeJS.ProcessEnv = process.env, entry: string = process.argv[1] ?? ""): string {
  const candidates = env.VIGIL_ROOTFS
    ? [resolve(env.VIGIL_ROOTFS)]
    : prefixes(entry).map((prefix) => join(prefix, "lib/vigil/rootfs"));
  const found = candidates.find((candidate) => existsSync(join(candidate, "bin")));
  if (found) return found;
  throw new VigilError(
    "not_found",
    `no root file system at ${candidates.join(" or ")}; give one with --rootfs DIR, or run "make setup build"`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
