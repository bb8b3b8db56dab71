import { type Command, CommanderError } from "commander";
import { toJson } from "./cli/output.js";
import { program } from "./cli/program.js";
import { describeFailure, relayedStatus, usageStatus } from "./cli/verb.js";

/** Verbs whose exit status is a process's in the container. They see to it before they care for a reader that left. */
const relaying = ["run", "exec"];

async function main(argv: readonly string[]): Promise<void> {
  // boot.cjs runs the bundle so when it makes the code cache.
  if (argv[0] === "--warm-up") return (await import("./cli/warm-up.js")).warmUp();
  let verb: Command | undefined;
  const root = program().hook("preAction", (_, command) => {
    verb = command;
    if (!relaying.includes(command.name())) process.stdout.on("error", leaveQuietly);
  });
  try {
    await root.parseAsync(argv, { from: "user" });
  } catch (error) {
    process.exitCode = report(error, verb);
  }
}

/** `vigil ps | head -1` is no failure. */
function leaveQuietly(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
  process.exit();
}

function report(error: unknown, verb: Command | undefined): number {
  if (error instanceof CommanderError) {
    if (error.code === "vigil.usage") process.stderr.write(`${error.message.replace(/^error: /, "vigil: ")}\n`);
    return error.exitCode === 0 ? 0 : usageStatus;
  }
  const failure = describeFailure(error);
  const text = verb?.opts().json
    ? toJson({ error: failure })
    : `vigil: ${failure.message}${failure.hint ? `\n       ${failure.hint}` : ""}`;
  process.stderr.write(`${text}\n`);
  return verb && relaying.includes(verb.name()) ? relayedStatus(failure) : 1;
}

void main(process.argv.slice(2));
