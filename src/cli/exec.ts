import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { places } from "../client/places.js";
import type { Shim } from "../client/shim.js";
import { type ProcessSpec, processSpec } from "../client/spec.js";
import { openStdio } from "../client/stdio.js";
import { attach } from "./attach.js";
import { type Found, findContainer, withShim } from "./find.js";
import { requireTerminal, terminalSize } from "./terminal.js";
import { type CommonOptions, refuse } from "./verb.js";

export interface ExecOptions extends CommonOptions {
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly env?: readonly string[];
  readonly workdir?: string;
  readonly user?: { readonly uid: number; readonly gid: number };
}

const processType = "types.containerd.io/opencontainers/runtime-spec/1/Process";

export async function exec(name: string, argv: readonly string[], options: ExecOptions): Promise<void> {
  if (argv.length === 0) refuse("error: nothing to run: vigil exec [options] NAME COMMAND [ARGUMENT...]");
  if (options.tty) requireTerminal();
  const found = findContainer(name, options.namespace);
  const spec = await execSpec(found, argv, options);
  process.exitCode = await withShim(found.shim, (shim) => runExec(shim, found.id, spec, options));
}

async function runExec(shim: Shim, id: string, spec: ProcessSpec, options: ExecOptions): Promise<number> {
  const execId = `exec-${randomBytes(6).toString("hex")}`;
  const choices = { terminal: Boolean(options.tty), stdin: Boolean(options.interactive) };
  const stdio = await openStdio(join(places().run, "io", execId), choices);
  try {
    const value = Buffer.from(JSON.stringify(spec));
    await shim.task.exec({ id, execId, ...stdio.spec, spec: { typeUrl: processType, value } });
    const start = async () => void (await shim.task.start({ id, execId }));
    try {
      const { status, printed } = await attach({ shim, id, execId, stdio }, start);
      // Delete waits for output that is still on its way, and then closes the streams.
      await Promise.all([shim.task.delete({ id, execId }), printed]);
      return status;
    } catch (failure) {
      await forget(shim, id, execId);
      throw failure;
    }
  } finally {
    await stdio.dispose();
  }
}

/** An exec that could not be started stays registered until it is deleted. */
async function forget(shim: Shim, id: string, execId: string): Promise<void> {
  await shim.task.delete({ id, execId }).catch((error: Error) => {
    process.stderr.write(`vigil: ${execId} of ${id} stays registered: ${error.message}\n`);
  });
}

/** Like the container's own process, as far as its configuration can be read, with what was asked for instead. */
async function execSpec(found: Found, argv: readonly string[], options: ExecOptions): Promise<ProcessSpec> {
  const own = await readProcess(found.bundle);
  const terminal = options.tty ? terminalSize() : undefined;
  const fresh = processSpec({
    argv,
    terminal,
    env: [...(own?.env ?? []), ...(options.env ?? [])],
    ...(options.workdir !== undefined ? { cwd: options.workdir } : own && { cwd: own.cwd }),
    ...(options.user ? { user: options.user } : own && { user: own.user }),
  });
  const { capabilities, noNewPrivileges, rlimits } = own ?? fresh;
  return { ...own, ...fresh, capabilities, noNewPrivileges, rlimits };
}

async function readProcess(bundle: string): Promise<ProcessSpec | undefined> {
  try {
    return (JSON.parse(await readFile(join(bundle, "config.json"), "utf8")) as { process?: ProcessSpec }).process;
  } catch (error) {
    process.stderr.write(`vigil: using default settings, for ${(error as Error).message}\n`);
    return undefined;
  }
}
