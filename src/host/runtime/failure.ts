import { type ErrorCode, VigilError } from "../../base/errors.js";
import { CoreError } from "../core/commands.js";
import type { Op } from "../core/ops.js";

const errno = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EINVAL: 22,
  EMFILE: 24,
  ENOSPC: 28,
  ERANGE: 34,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EREMOTEIO: 121,
} as const;

// Without an entry: unknown, as the stock shim answers everything that a runtime says.
const codes: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [errno.EPERM, "permission_denied"],
  [errno.EACCES, "permission_denied"],
  [errno.ESRCH, "not_found"],
  [errno.EAGAIN, "resource_exhausted"],
  [errno.ENOMEM, "resource_exhausted"],
  [errno.EMFILE, "resource_exhausted"],
  [errno.ENOSPC, "resource_exhausted"],
  [errno.EBUSY, "failed_precondition"],
  [errno.EINVAL, "invalid_argument"],
  [errno.ERANGE, "invalid_argument"],
  [errno.ENOSYS, "unimplemented"],
  [errno.EOPNOTSUPP, "unimplemented"],
  [errno.ETIMEDOUT, "deadline_exceeded"],
  [errno.ESTALE, "aborted"],
]);

/** Steps whose failure says that the wrong program was named, not that something is wrong with the container. */
const programSteps: ReadonlySet<string | undefined> = new Set(["find", "exec"]);

export type RuntimeStep =
  | "create"
  | "start"
  | "exec"
  | "update"
  | "delete"
  | "kill"
  | "pause"
  | "resume"
  | "resize"
  | "checkpoint"
  | "restore"
  | "sandbox";

/** What the core or one of its helpers answered, in words and with a code for the caller of an RPC. */
export function runtimeFailure(step: RuntimeStep, thrown: unknown, ops: readonly Op[] = []): VigilError {
  const begin = `OCI runtime ${step} failed: `;
  if (!(thrown instanceof CoreError)) {
    const { code, message } = VigilError.from(thrown);
    return new VigilError(code, `${begin}${message}`, { cause: thrown });
  }
  const op = ops[thrown.op];
  const program = programSteps.has(op?.name) || thrown.message.startsWith("exec: ");
  // What is wrong with a program the stock shim answers as Unknown, too.
  const code = program ? "unknown" : (codes.get(thrown.errno) ?? "unknown");
  const hint = op?.hint ? ` (${op.hint})` : "";
  const where = program ? "unable to start container process: " : "";
  return new VigilError(code, `${begin}${where}${thrown.message}${hint}`, { cause: thrown });
}

export const hasErrno = (thrown: unknown, name: keyof typeof errno): boolean =>
  thrown instanceof CoreError && thrown.errno === errno[name];
