import { join } from "node:path";
import { VigilError } from "../../base/errors.js";
import type { CheckpointSpec, CreateSpec } from "../../task/ports.js";
import { file, type Op, unlink } from "../core/ops.js";
import { readCriuLog } from "./criu-log.js";

/** Checkpoints and restores of another OCI runtime, by the options that runc and crun have in common. */

/** Names that runtimes give CRIU for its log in the work directory. */
const logs = { checkpoint: "dump.log", restore: "restore.log" } as const;
/** What CRIU leaves beside. */
const statistics = { checkpoint: "stats-dump", restore: "stats-restore" } as const;

export type CriuStep = keyof typeof logs;

const flag = (name: string, wanted: boolean): string[] => (wanted ? [`--${name}`] : []);

export function checkpointWords(id: string, spec: CheckpointSpec, workDirectory: string): string[] {
  return [
    ...["checkpoint", "--image-path", spec.imageDirectory, "--work-path", workDirectory],
    ...flag("leave-running", !spec.exit),
    ...flag("tcp-established", spec.openTcp),
    ...flag("ext-unix-sk", spec.externalUnixSockets),
    ...flag("shell-job", spec.terminal),
    ...flag("file-locks", spec.fileLocks),
    ...spec.emptyNamespaces.flatMap((kind) => ["--empty-ns", kind]),
    ...(spec.cgroupsMode === "" ? [] : ["--manage-cgroups-mode", spec.cgroupsMode]),
    id,
  ];
}

export function restoreWords({ checkpoint, bundle }: CreateSpec, workDirectory: string): string[] {
  return ["restore", "--detach", "--image-path", checkpoint, "--work-path", workDirectory, "--bundle", bundle];
}

/** Takes away what CRIU has left in a work directory of ours. */
export function clearWork(step: CriuStep, directory: string): Op[] {
  return [unlink(join(directory, logs[step])), unlink(join(directory, statistics[step]))];
}

export interface CriuFailure {
  readonly error: VigilError;
  /** Keeps the log in the bundle, where containerd's runc shim has it. */
  readonly ops: readonly Op[];
}

/** The runtime's failure with what CRIU's log says of it. */
export function criuFailure(step: CriuStep, failure: VigilError, directory: string, bundle: string): CriuFailure {
  const log = readCriuLog(join(directory, logs[step]));
  if (!log) return { error: failure, ops: [] };
  const kept = join(bundle, `criu-${logs[step]}`);
  const said = log.error === "" ? "" : `: ${log.error}`;
  // The spelling of containerd's runc shim.
  const message = `${failure.message.replaceAll(/\s*\n\s*/g, " ")}${said} path= ${kept}`;
  return { error: new VigilError(failure.code, message, { cause: failure }), ops: [file(kept, 0o600, log.text)] };
}
