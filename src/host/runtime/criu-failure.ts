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

/** Where CRIU has worked, and for whom. */
export interface CriuPlace {
  readonly work: string;
  /** The work directory is none that somebody asked for. */
  readonly ownWork: boolean;
  readonly bundle: string;
}

/**
 * The runtime's failure with what CRIU's log says of it; `words` in place of the failure's own, which then say less. The log
 * itself is kept in the bundle, where containerd's runc shim has it.
 */
export async function explainCriu(
  step: CriuStep,
  failure: VigilError,
  { work, ownWork, bundle, words = failure.message }: CriuPlace & { readonly words?: string },
  script: (ops: readonly Op[]) => Promise<void>,
): Promise<VigilError> {
  const log = readCriuLog(join(work, criuLogs[step]));
  const kept = join(bundle, `criu-${criuLogs[step]}`);
  const keep = [...(log ? [file(kept, 0o600, log.text)] : []), ...(ownWork ? clearWork(step, work) : [])];
  const said = log?.error ? `${words}: ${log.error}` : failure.message;
  // The spelling of containerd's runc shim.
  const message = `${said.replaceAll(/\s*\n\s*/g, " ")} path= ${kept}`;
  return script(keep).then(
    () => (log ? new VigilError(failure.code, message, { cause: failure }) : failure),
    () => failure, // it says less, but what could not be written is not the caller's matter
  );
}

/** So that nothing older is taken for what CRIU has to say. */
export const forgetLog = (step: CriuStep, work: string): Op => unlink(join(work, criuLogs[step]));

/** The one thing that an operator has to do about it. */
export function missingCriu(step: CriuStep, thrown: unknown, program: string): VigilError | undefined {
  if (!(thrown instanceof Error) || !thrown.message.startsWith(`exec: "${program}"`)) return undefined;
  const message = `OCI runtime ${step} failed: ${thrown.message}: install CRIU (Debian: apt-get install criu)`;
  return new VigilError("failed_precondition", message, { cause: thrown });
}
