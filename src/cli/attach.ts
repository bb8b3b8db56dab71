import { constants } from "node:os";
import type { Readable, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { VigilError } from "../base/errors.js";
import type { Shim } from "../client/shim.js";
import type { Stdio } from "../client/stdio.js";
import { forwardSignals } from "./forward.js";
import { takeTerminal, watchSize } from "./terminal.js";

/** A process that was created and not yet started, and the FIFOs it was given. */
export interface Attachment {
  readonly shim: Shim;
  readonly id: string;
  /** Empty: the init. */
  readonly execId: string;
  readonly stdio: Stdio;
}

export interface AttachedExit {
  readonly status: number;
  /** Resolves when all output that the process wrote has been printed, and its streams are closed. */
  readonly printed: Promise<void>;
}

/** Starts the process (`start`) with this program's streams and signals as its own, and waits for its exit. */
export async function attach(
  { shim, id, execId, stdio }: Attachment,
  start: () => Promise<void>,
): Promise<AttachedExit> {
  const { task } = shim;
  // Signals and sizes go out beside the main course, which alone may end this program; what they meet is only told.
  const aside = (call: Promise<void>) => {
    call.catch((error: unknown) => {
      const { code, message } = VigilError.from(error);
      if (code !== "not_found") process.stderr.write(`vigil: ${message}\r\n`);
    });
  };
  const undo: (() => void)[] = [];
  try {
    const outputs = [
      print(stdio.stdout, process.stdout),
      ...(stdio.stderr ? [print(stdio.stderr, process.stderr)] : []),
    ];
    const printed = Promise.all(outputs).then(() => undefined);
    // It may fail while nobody waits for it yet.
    printed.catch(() => undefined);
    const signal = (number: number) => aside(task.kill({ id, execId, signal: number, all: false }));
    undo.push(forwardSignals(signal));
    whenReaderLeaves(() => signal(constants.signals.SIGKILL));
    if (stdio.spec.terminal) undo.push(takeTerminal());
    await start();
    await stdio.connected();
    if (stdio.spec.terminal) {
      undo.push(watchSize(({ columns, rows }) => aside(task.resizePty({ id, execId, width: columns, height: rows }))));
    }
    undo.push(feed(stdio, () => aside(task.closeIO({ id, execId, stdin: true }))));
    const { exitStatus } = await task.wait({ id, execId });
    return { status: exitStatus, printed };
  } finally {
    for (const action of undo.reverse()) action();
  }
}

async function print(from: Readable, to: Writable): Promise<void> {
  from.pipe(to, { end: false });
  // Nobody reads on, but a container that still writes must not block until it is killed.
  to.once("error", () => from.resume());
  // Readable only: FIFOs have no other side.
  await finished(from, { writable: false });
}

/** A pipe's reader that goes away (`| head`) would end a program by SIGPIPE; an init without handler does not notice. */
function whenReaderLeaves(act: () => void): void {
  // For good: what the container still writes must not end this program before the container is seen to.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    act();
  });
}

/** Passes standard input on; at its end the container sees the end too, once the shim closes its own writing end. */
function feed({ stdin }: Stdio, ended: () => void): () => void {
  if (!stdin) return () => undefined;
  // The container may exit while input is still on its way to it.
  stdin.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  stdin.once("close", ended);
  process.stdin.pipe(stdin);
  return () => {
    stdin.off("close", ended);
    process.stdin.unpipe(stdin);
    process.stdin.pause();
    // A terminal or pipe that stays open would keep this program alive.
    process.stdin.unref?.();
  };
}
