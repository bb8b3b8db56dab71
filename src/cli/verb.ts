import { Command, CommanderError, Option } from "commander";
import { VigilError } from "../base/errors.js";

/** What every verb understands. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly namespace?: string;
}

/** vigil's own failure, as the other engines number it; a container's status has all the others. */
const ownFailureStatus = 125;
const notExecutableStatus = 126;
const notFoundStatus = 127;
export const usageStatus = 2;

/** Of a failed `run` or `exec`. That the command itself is at fault, only the words tell: `exec: "COMMAND": REASON`. */
export function relayedStatus(failure: { readonly message: string }): number {
  const [, reason] = /exec: "[^"]*": (.*)/.exec(failure.message) ?? [];
  if (reason === undefined) return ownFailureStatus;
  return /not found|no such file/i.test(reason) ? notFoundStatus : notExecutableStatus;
}

/** A verb with the options all of them share. */
export function verb(signature: string, description: string): Command {
  return new Command(signature.split(" ", 1)[0])
    .usage(`[options] ${signature.split(" ").slice(1).join(" ")}`.trim())
    .description(description)
    .option("--json", "print JSON for programs");
}

export function namespaceOption(): Option {
  return new Option("-n, --namespace <name>", "only containers of this containerd namespace");
}

/** Ends the verb with a usage error, for combinations that no single option can refuse. */
export function refuse(message: string): never {
  throw new CommanderError(usageStatus, "vigil.usage", message);
}

const hints: Partial<Record<VigilError["code"], string>> = {
  permission_denied: "vigil needs root for this: try again with sudo",
  unavailable: "see what is left of it with `vigil ps`, and clear it away with `vigil rm -f NAME`",
};

const systemHints: Readonly<Record<string, string>> = {
  EACCES: "vigil needs root for this: try again with sudo",
  EPERM: "vigil needs root for this: try again with sudo",
  ENOSPC: "the disk or the tmpfs is full: `df -h` shows which",
  EMFILE: "too many open files: raise `ulimit -n`",
};

/** A failure in words and, where there is one, what to do next. */
export function describeFailure(thrown: unknown): { code: string; message: string; hint?: string } {
  const system = (thrown as NodeJS.ErrnoException | undefined)?.code;
  if (!(thrown instanceof VigilError) && typeof system === "string" && thrown instanceof Error) {
    const hint = systemHints[system];
    return { code: system, message: thrown.message, ...(hint && { hint }) };
  }
  const failure = VigilError.from(thrown);
  const hint = hints[failure.code];
  return { code: failure.code, message: failure.message, ...(hint && { hint }) };
}
