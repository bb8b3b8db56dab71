import { CommanderError } from "commander";
import { VigilError } from "../base/errors.js";
import { contextOf, type GlobalOptions, program, warmUp } from "./program.js";

/** What goes wrong is the last line of the log, and of standard error if that is not the log. */
function report(thrown: unknown, options: GlobalOptions): void {
  // Whoever calls an OCI runtime puts "OCI runtime" before what it says itself.
  const message = VigilError.from(thrown).message.replace(/^OCI runtime (\w+ failed: )/, "vigil-runtime $1");
  const { log } = contextOf({ ...options, systemdCgroup: false });
  log.error(message);
  if (options.log !== "") process.stderr.write(`${message}\n`);
}

async function main(argv: readonly string[]): Promise<void> {
  // boot.cjs runs the bundle so when it makes the code cache.
  if (argv[0] === "--warm-up") return warmUp();
  const root = program((status) => {
    process.exitCode = status;
  });
  try {
    await root.parseAsync(argv, { from: "user" });
  } catch (thrown) {
    process.exitCode = 1;
    if (thrown instanceof CommanderError) process.exitCode = thrown.exitCode;
    else report(thrown, root.opts<GlobalOptions>());
  }
}

void main(process.argv.slice(2));
