import { createHash } from "node:crypto";
import type { RuntimeOptions } from "../../task/ports.js";
import type { Program } from "../core/ops.js";

/** What begins every command line of a container's runtime: the program, and where it keeps its state. */
export type OciCommand = readonly string[];

/** Where containerd's own shim has it, so that `runc list` finds containers of either. */
const defaultRoot = "/run/containerd/runc";

export function ociCommand(options: RuntimeOptions, namespace: string): OciCommand {
  const { binaryName, root, systemdCgroup } = options;
  return [binaryName, "--root", `${root || defaultRoot}/${namespace}`, ...(systemdCgroup ? ["--systemd-cgroup"] : [])];
}

const short = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** A container's directory for what passes between vigil and the runtime; short, as paths of sockets end at 107 bytes. */
export function exchangeDirectory(runDirectory: string, namespace: string, id: string): string {
  return `${runDirectory}/oci-${short(`${namespace}/${id}`)}`;
}

/** How long a runtime may take; hooks run within. */
const timeoutsMs = { create: 600_000, exec: 600_000, checkpoint: 600_000, other: 120_000 } as const;

/** One call of the runtime. Its files have names of their own, as several may run at once. */
export interface OciStep {
  readonly pidFile: string;
  readonly consoleSocket: string;
  readonly process: string;
  readonly files: readonly string[];
  program(kind: keyof typeof timeoutsMs, words: readonly string[], input?: string): Program;
}

export function ociStep(command: OciCommand, directory: string, key: string): OciStep {
  const base = `${directory}/${short(key)}`;
  const [pidFile, consoleSocket, process, log] = [`${base}.pid`, `${base}.pty`, `${base}.json`, `${base}.log`] as const;
  return {
    pidFile,
    consoleSocket,
    process,
    files: [pidFile, consoleSocket, process, log],
    program: (kind, words, input = "") => ({
      argv: [...command, "--log", log, "--log-format", "json", ...words],
      input,
      log,
      timeoutMs: timeoutsMs[kind],
    }),
  };
}

/** Ends and forgets a container, whatever state it is in. */
export const deleteByForce = (id: string): string[] => ["delete", "--force", id];

export const noProgram: Program = { argv: [], log: "", timeoutMs: 0 };
