// A runtime under test: a program with runc's command line.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { seconds } from "../../support/bed.js";
import { type CommandOptions, runCommand } from "../../support/command.js";

export interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Runtime {
  readonly path: string;
  /** "runc 1.1.5": what the table calls it. */
  readonly title: string;
  readonly version: string;
}

export async function findRuntime(path: string): Promise<Runtime | undefined> {
  const asked = await runCommand([path, "--version"]).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "EACCES") return undefined;
    throw error;
  });
  if (asked === undefined || asked.code !== 0) return undefined;
  const version = asked.stdout.toString().trim();
  const number = /\d+\.\d+(\.\d+)?/.exec(version)?.[0] ?? "";
  return { path, title: `${basename(path)} ${number}`.trim(), version };
}

export function isVigil(runtime: Runtime): boolean {
  return basename(runtime.path).startsWith("vigil");
}

/** Where one run of the suite keeps a runtime's state and log. */
export interface Place {
  readonly root: string;
  readonly log: string;
}

export function globalArguments({ root, log }: Place): string[] {
  return ["--root", root, "--log", log, "--log-format", "json"];
}

export async function callRuntime(
  runtime: Runtime,
  place: Place,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<Result> {
  const limitMs = seconds(20);
  const all = [runtime.path, ...globalArguments(place), ...argv];
  const { code, stdout, stderr } = await runCommand(all, { limitMs, ...options });
  return { code, out: stdout.toString(), err: stderr.toString() };
}

/** What the runtime has logged, for a message about a failure. */
export function logged({ log }: Place): string {
  try {
    return readFileSync(log, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}
