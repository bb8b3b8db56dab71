import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { seconds } from "./bed.js";

export interface CommandResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface CommandOptions {
  readonly stdin?: string | Buffer;
  /** Nothing is written before the first; the end of input comes after the second. Neither: both at once. */
  readonly stdinOpens?: Promise<unknown>;
  readonly stdinEnds?: Promise<unknown>;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly limitMs?: number;
}

export interface RunningCommand {
  readonly child: ChildProcess;
  readonly result: Promise<CommandResult>;
}

/** Starts a program and collects what it prints. A program that outlives its limit is killed and the result says so. */
export function startCommand(argv: readonly string[], options: CommandOptions = {}): RunningCommand {
  const [file = "", ...args] = argv;
  const child = spawn(file, args, {
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
  // A container may end without reading all its input; that is the program's business.
  child.stdin?.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") err.push(Buffer.from(`stdin: ${error.message}\n`));
  });
  if (options.stdin !== undefined && child.stdin !== null) {
    feed(child.stdin, options).catch((error: Error) => err.push(Buffer.from(`stdin: ${error.message}\n`)));
  }
  return { child, result: collect(child, argv, out, err, options.limitMs ?? seconds(60)) };
}

async function feed(stdin: Writable, options: CommandOptions): Promise<void> {
  await options.stdinOpens;
  stdin.write(options.stdin ?? "");
  await options.stdinEnds;
  stdin.end();
}

async function collect(
  child: ChildProcess,
  argv: readonly string[],
  out: Buffer[],
  err: Buffer[],
  limitMs: number,
): Promise<CommandResult> {
  const timer = setTimeout(() => {
    err.push(Buffer.from(`\n(killed after ${limitMs} ms: ${argv.join(" ")})\n`));
    child.kill("SIGKILL");
    // A grandchild may hold the pipes open for ever.
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, limitMs);
  try {
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    if (signal !== null) err.push(Buffer.from(`(ended by ${signal})\n`));
    return { code: code ?? 255, stdout: Buffer.concat(out), stderr: Buffer.concat(err) };
  } finally {
    clearTimeout(timer);
  }
}

export function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return startCommand(argv, options).result;
}

export interface Service {
  readonly child: ChildProcess;
  readonly pid: number;
  stop(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a long-running program with both outputs appended to a file. */
export async function startService(
  argv: readonly string[],
  options: { env: NodeJS.ProcessEnv; log: string },
): Promise<Service> {
  const [file = "", ...args] = argv;
  const log = createWriteStream(options.log, { flags: "a" });
  await once(log, "open");
  const fd = (log as unknown as { fd: number }).fd;
  const child = spawn(file, args, { env: options.env, stdio: ["ignore", fd, fd], detached: true });
  await once(child, "spawn");
  log.close();
  const exited = once(child, "exit");
  return {
    child,
    pid: child.pid ?? 0,
    stop: async (signal) => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await exited;
    },
  };
}

/** Asks until the answer is there. For outside state that offers nothing to wait on. */
export async function eventually<T>(
  what: string,
  ask: () => T | undefined | Promise<T | undefined>,
  limitMs: number = seconds(10),
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
