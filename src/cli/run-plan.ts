import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { VigilError } from "../base/errors.js";
import { layRootfs, writeConfig } from "../client/bundle.js";
import { checkIdentifier, inventId } from "../client/names.js";
import { findRootfs, ownNamespace } from "../client/places.js";
import { containerSpec, type ResourceLimits } from "../client/spec.js";
import type { Mount } from "../gen/containerd/types/mount.js";
import { terminalSize } from "./terminal.js";
import { refuse } from "./verb.js";

export interface RunOptions {
  readonly name?: string;
  readonly bundle?: string;
  readonly rootfs?: string;
  readonly readOnly?: boolean;
  readonly memory?: bigint;
  readonly cpus?: number;
  readonly pids?: number;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly detach?: boolean;
  readonly rm?: boolean;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly hostname?: string;
  readonly net?: "host" | "none";
  readonly runtime?: string;
  readonly json?: boolean;
}

/** What is on disk before the shim is asked: nothing of it runs yet. */
export interface Prepared {
  readonly id: string;
  /** Holds config.json: made here, or the user's. */
  readonly bundle: string;
  /** Made here in either case; removed with the container. */
  readonly home: string;
  readonly rootfs: readonly Mount[];
  readonly terminal: boolean;
}

/** Refuses combinations that make no sense, before anything is made. */
export function checkRun(argv: readonly string[], options: RunOptions): void {
  const { bundle, detach } = options;
  if (!bundle && argv.length === 0) refuse("error: nothing to run: vigil run [options] -- COMMAND [ARGUMENT...]");
  if (bundle) {
    const others = [
      "rootfs",
      "readOnly",
      "memory",
      "cpus",
      "pids",
      "env",
      "workdir",
      "user",
      "hostname",
      "net",
    ] as const;
    const given: string[] = others.filter((name) => options[name] !== undefined);
    if (argv.length > 0) given.push("COMMAND");
    if (given.length > 0) refuse(`error: --bundle has it all in its config.json; leave out ${given.join(", ")}`);
  }
  if (detach && (options.interactive || options.tty)) {
    refuse("error: -d leaves no terminal or input to attach: leave out -i and -t, and use `vigil exec -it` later");
  }
}

export function nameOf(argv: readonly string[], { name, bundle }: RunOptions): string {
  return name === undefined ? inventId(argv[0] ?? bundle) : checkIdentifier("name", name);
}

/** Fills `home`, a bundle made for this container; what a failure leaves in it is the caller's to remove. */
export async function prepareRun(
  id: string,
  home: string,
  argv: readonly string[],
  options: RunOptions,
): Promise<Prepared> {
  if (options.bundle) return useBundle(id, home, resolve(options.bundle), options);
  const shared = options.rootfs === undefined;
  const rootfs = shared ? await layRootfs(home, findRootfs()) : [];
  await writeConfig(
    home,
    containerSpec({
      argv,
      rootPath: shared ? join(home, "rootfs") : resolve(options.rootfs ?? ""),
      // One directory, so that none is left when it goes.
      cgroupsPath: `/${ownNamespace}-${id}`,
      hostname: options.hostname ?? id,
      network: options.net ?? "none",
      terminal: options.tty ? terminalSize() : undefined,
      limits: limitsOf(options),
      ...(options.readOnly !== undefined && { readonlyRoot: options.readOnly }),
      ...(options.env && { env: options.env }),
      ...(options.workdir !== undefined && { cwd: options.workdir }),
      ...(options.user && { user: options.user }),
    }),
  );
  return { id, bundle: home, home, rootfs, terminal: Boolean(options.tty) };
}

async function useBundle(id: string, home: string, bundle: string, options: RunOptions): Promise<Prepared> {
  const terminal = await terminalOf(bundle);
  if (terminal && options.detach) refuse(`error: ${bundle}/config.json asks for a terminal, which -d cannot give`);
  if (terminal !== Boolean(options.tty)) {
    refuse(`error: ${bundle}/config.json says process.terminal is ${terminal}: ${terminal ? "add" : "leave out"} -t`);
  }
  return { id, bundle, home, rootfs: [], terminal };
}

async function terminalOf(bundle: string): Promise<boolean> {
  const path = join(bundle, "config.json");
  try {
    const spec = JSON.parse(await readFile(path, "utf8")) as { process?: { terminal?: unknown } };
    return spec.process?.terminal === true;
  } catch (cause) {
    throw new VigilError("invalid_argument", `cannot use ${path}: ${(cause as Error).message}`, { cause });
  }
}

function limitsOf({ memory, cpus, pids }: RunOptions): ResourceLimits {
  return {
    ...(memory !== undefined && { memoryBytes: memory, ...(hasSwap() && { memoryAndSwapBytes: memory }) }),
    ...(cpus !== undefined && { cpus }),
    ...(pids !== undefined && { pids }),
  };
}

/** A memory limit means little to a container that may swap; where there is no swap, its limit's file may be missing. */
function hasSwap(): boolean {
  return readFileSync("/proc/swaps", "utf8").trim().split("\n").length > 1;
}
