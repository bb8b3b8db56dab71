import { join } from "node:path";
import { VigilError } from "../../base/errors.js";
import { file, type Op, unlink } from "../core/ops.js";
import { readCriuLog } from "./criu-log.js";

/** Names of the log in the work directory, runc's. */
export const criuLogs = { checkpoint: "dump.log", restore: "restore.log" } as const;
/** What CRIU leaves beside. */
const statistics = { checkpoint: "stats-dump", restore: "stats-restore" } as const;

export type CriuStep = keyof typeof criuLogs;

/** Takes away what CRIU has left in a work directory of ours. */
export function clearWork(step: CriuStep, directory: string): Op[] {
  return [unlink(join(directory, criuLogs[step])), unlink(join(directory, statistics[step]))];
}

export interface CriuFailure {
  readonly error: VigilError;
  /** Keeps the log in the bundle, where containerd's runc shim has it. */
  readonly ops: readonly Op[];
}

/** The runtime's failure with what CRIU's log says of it; `words` in place of the failure's own, which then say less. */
export function criuFailure(
  step: CriuStep,
  failure: VigilError,
  { directory, bundle, words = failure.message }: { directory: string; bundle: string; words?: string },
): CriuFailure {
  const log = readCriuLog(join(directory, criuLogs[step]));
  if (!log) return { error: failure, ops: [] };
  const kept = join(bundle, `criu-${criuLogs[step]}`);
  const said = log.error === "" ? failure.message : `${words}: ${log.error}`;
  // The spelling of containerd's runc shim.
  const message = `${said.replaceAll(/\s*\n\s*/g, " ")} path= ${kept}`;
  return { error: new VigilError(failure.code, message, { cause: failure }), ops: [file(kept, 0o600, log.text)] };
}

/** The one thing that an operator has to do about it. */
export function missingCriu(step: CriuStep, thrown: unknown, program: string): VigilError | undefined {
  if (!(thrown instanceof Error) || !thrown.message.startsWith(`exec: "${program}"`)) return undefined;
  const message = `OCI runtime ${step} failed: ${thrown.message}: install CRIU (Debian: apt-get install criu)`;
  return new VigilError("failed_precondition", message, { cause: thrown });
}
