import { VigilError } from "../../base/errors.js";
import { hasErrno, type RuntimeStep, runtimeFailure } from "./failure.js";

/** containerd's runc shim's words before those of the runtime. */
const words: Readonly<Partial<Record<RuntimeStep, string>>> = {
  kill: "unknown error after kill: ",
  delete: "failed to delete task: ",
};

/** Other words of runtimes for a container that has ended: runc's, crun's, the kernel's (go-runc's callers compare these, too). */
const finished = /process already finished|container not running|no such process|is not running/i;
const unknown = /does not exist/i;

/** The text of a runtime's failure: the msg of the last line of its log, or what it printed. */
function textOf(message: string): string {
  const msg = /"msg"\s*:\s*("(?:[^"\\]|\\.)*")/.exec(message)?.[1];
  return msg === undefined ? message : String(JSON.parse(msg)).trim();
}

export const saysUnknown = (thrown: unknown): boolean =>
  hasErrno(thrown, "EREMOTEIO") && unknown.test(textOf((thrown as Error).message));

/** What came of a runtime's command, in words and with a code for the caller of an RPC. */
export function ociFailure(step: RuntimeStep, thrown: unknown): VigilError {
  if (step === "kill" && hasErrno(thrown, "ESRCH")) {
    return new VigilError("not_found", "process already finished", { cause: thrown });
  }
  const notStarted = thrown instanceof Error && thrown.message.startsWith('exec: "');
  if (!notStarted && !hasErrno(thrown, "EREMOTEIO")) return runtimeFailure(step, thrown);
  const text = textOf((thrown as Error).message);
  if (step === "kill" && finished.test(text)) {
    return new VigilError("not_found", "process already finished", { cause: thrown });
  }
  if (step === "kill" && unknown.test(text)) return new VigilError("not_found", "no such container", { cause: thrown });
  return new VigilError("unknown", `${words[step] ?? `OCI runtime ${step} failed: `}${text}`, { cause: thrown });
}
