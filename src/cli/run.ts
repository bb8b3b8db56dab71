import { spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { makeBundle, removeBundle } from "../client/bundle.js";
import { createContainer, deleteContainer, stdioPath } from "../client/container.js";
import { bundlePath, findShim, logPath, ownCommand, ownNamespace, type Places, places } from "../client/places.js";
import type { Shim } from "../client/shim.js";
import { openStdio, type StdioSpec } from "../client/stdio.js";
import type { OomReport } from "../gen/vigil/v1/vigil.js";
import { attach } from "./attach.js";
import { explainBriefly, formatExplanation } from "./explain.js";
import { reportJson } from "./json.js";
import { paint, print, printJson, toJson } from "./output.js";
import { removeStopped } from "./removal.js";
import { checkRun, nameOf, type Prepared, prepareRun, type RunOptions } from "./run-plan.js";
import { requireTerminal } from "./terminal.js";
import { within } from "./within.js";

/** Output of a container that has ended is there at once, unless a process that it left behind still writes. */
const drainMs = 10_000;

interface Launch {
  readonly prepared: Prepared;
  readonly options: RunOptions;
  readonly at: Places;
  readonly binary: string;
  /** Called once the program runs: from then on the container is not taken away by a failure of this program. */
  started(): void;
}

export async function run(argv: readonly string[], options: RunOptions): Promise<void> {
  checkRun(argv, options);
  if (options.tty) requireTerminal();
  const at = places();
  const binary = findShim();
  const id = nameOf(argv, options);
  const home = bundlePath(at, ownNamespace, id);
  await makeBundle(home);
  let running = false;
  const started = () => {
    running = true;
  };
  try {
    const prepared = await prepareRun(id, home, argv, options);
    const launch = { prepared, options, at, binary, started };
    if (options.detach) await runDetached(launch);
    else process.exitCode = await runAttached(launch);
  } catch (failure) {
    if (!running) await removeBundle(home).catch((second: Error) => process.stderr.write(`vigil: ${second.message}\n`));
    throw failure;
  }
}

async function create({ prepared, options, binary }: Launch, stdio: StdioSpec): Promise<Shim> {
  const { id, bundle, rootfs } = prepared;
  return createContainer({ binary, namespace: ownNamespace, id, bundle, rootfs, stdio, runtime: options.runtime });
}

/** Runs the container's program; if it cannot run, the container is removed. */
async function start(shim: Shim, { prepared: { id, bundle }, binary, started }: Launch): Promise<number> {
  try {
    const { pid } = await shim.task.start({ id, execId: "" });
    started();
    return pid;
  } catch (failure) {
    await deleteContainer(shim, { binary, namespace: ownNamespace, id, bundle });
    throw failure;
  }
}

async function runDetached(launch: Launch): Promise<void> {
  const { prepared, options, at } = launch;
  const { id } = prepared;
  const log = logPath(at, ownNamespace, id);
  await mkdir(dirname(log), { recursive: true, mode: 0o700 });
  // What an earlier container of this name wrote is not this one's.
  await rm(log, { force: true });
  const shim = await create(launch, { stdin: "", stdout: `file://${log}`, stderr: `file://${log}`, terminal: false });
  try {
    const pid = await start(shim, launch);
    if (options.rm) removeLater(id);
    if (options.json) printJson({ namespace: ownNamespace, id, pid, log });
    else print(id);
  } finally {
    shim.close();
  }
}

/** Somebody has to wait for the exit: a shim keeps what ended until it is told otherwise. */
function removeLater(id: string): void {
  const [file = process.execPath, ...args] = ownCommand();
  const waiting = ["wait", "--rm", "--namespace", ownNamespace, id];
  spawn(file, [...args, ...waiting], { detached: true, stdio: "ignore", cwd: "/" }).unref();
}

async function runAttached(launch: Launch): Promise<number> {
  const { prepared, options, at } = launch;
  const { id, home, terminal } = prepared;
  const stdio = await openStdio(stdioPath(home), { terminal, stdin: Boolean(options.interactive) });
  try {
    const shim = await create(launch, stdio.spec);
    try {
      const target = { shim, id, execId: "", stdio };
      const { status, printed } = await attach(target, async () => void (await start(shim, launch)));
      const reports = await shim.vigil.oomReports(id);
      if (options.rm) await removeStopped(shim, { at, namespace: ownNamespace, id, bundle: prepared.bundle });
      await within(printed, drainMs);
      tellWhy(id, status, reports, options);
      return status;
    } finally {
      shim.close();
    }
  } finally {
    await stdio.dispose();
  }
}

function tellWhy(id: string, exitStatus: number, reports: readonly OomReport[], options: RunOptions): void {
  if (options.json) {
    process.stderr.write(
      `${toJson({ namespace: ownNamespace, id, exitStatus, oomReports: reports.map(reportJson) })}\n`,
    );
    return;
  }
  for (const report of reports) {
    const title = paint("red", `vigil: ${id} ran out of memory`, process.stderr);
    process.stderr.write(`${title}\n${formatExplanation(explainBriefly(report))}\n`);
  }
  if (reports.length > 0 && !options.rm) process.stderr.write(`  more: vigil oom show ${id}\n`);
}
