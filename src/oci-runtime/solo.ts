import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { connect } from "node:net";
import { constants as system } from "node:os";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { isatty } from "node:tty";
import { VigilError } from "../base/errors.js";
import type { Birth, Restore } from "../host/core/birth.js";
import { type CoreCommands, CoreError } from "../host/core/commands.js";
import { encodeBirth, encodeRestore } from "../host/core/encode-birth.js";
import { encodeOps, signalProcess } from "../host/core/ops.js";
import { startSocketName, writeTeardown } from "./store.js";

/** How a process of the container is joined to the caller. */
export interface Joining {
  readonly consoleSocket?: string | undefined;
  /** Descriptors from 3 on that it inherits. */
  readonly preserved: number;
  /** Stay until it ends: a command in the foreground. */
  readonly wait: boolean;
}

export interface Target {
  readonly directory: string;
  readonly joining: Joining;
  /** Of a container that exists: the init. */
  readonly init?: { readonly pid: number; readonly startTime: string };
}

export interface Solo extends CoreCommands {
  /** After a birth with `wait`: its process's status, or 128 + signal, once it has ended. */
  readonly exited: () => Promise<number>;
}

const { errno } = system;
const planFd = 3;
const answersFd = 4;

/**
 * The commands of a core, carried out by vigil-solo, a program for each: what was made outlives it, nothing is kept. Keys mean
 * nothing here, for a command line that failed is not repeated by anybody but its caller.
 */
export function createSolo(target: Target): Solo {
  const { directory, joining, init } = target;
  let exited: Promise<number> | undefined;

  function birth(_key: string, plan: Birth): Promise<number> {
    const own = plan.exec === "";
    if (own) writeTeardown(directory, plan.teardown);
    const args = [
      ...(own ? ["--listen", join(directory, startSocketName)] : []),
      ...(init && !own ? ["--init", `${init.pid}:${init.startTime}`] : []),
    ];
    return make(args, encodeBirth({ ...plan, streams: inherited }), own ? "ready" : "running");
  }

  function restore(_key: string, plan: Birth, more: Restore): Promise<number> {
    writeTeardown(directory, plan.teardown);
    const encoded = [encodeBirth({ ...plan, streams: inherited }), encodeRestore(more)];
    return make(["--restore"], Buffer.concat(encoded), "running");
  }

  async function make(args: readonly string[], plan: Uint8Array, made: "ready" | "running"): Promise<number> {
    const program = start(
      [
        "birth",
        ...args,
        ...(joining.consoleSocket === undefined ? [] : ["--console-socket", joining.consoleSocket]),
        ...(joining.preserved > 0 ? ["--preserve", String(joining.preserved)] : []),
        ...(joining.wait ? ["--wait"] : []),
      ],
      plan,
      joining.preserved,
    );
    const pid = await program.answer("pid");
    await program.answer(made);
    if (joining.wait) {
      exited = program.answer("exited");
      // Waited for later, if at all.
      exited.catch(() => undefined);
    } else {
      await program.ended;
    }
    return pid;
  }

  async function script(_key: string, ops: Uint8Array, { undo }: { readonly undo: boolean }): Promise<void> {
    const program = start(["script", ...(undo ? ["--undo"] : [])], ops, 0);
    await program.answer("done");
    await program.ended;
  }

  return {
    birth,
    script,
    restore,
    start: () => letGo(directory),
    signal: (key, _container, _exec, signal) => {
      if (!init) throw new VigilError("failed_precondition", "there is no process to send a signal to");
      return script(key, encodeOps([signalProcess(init.pid, BigInt(init.startTime), signal)]), { undo: false });
    },
    exited: () => exited ?? Promise.reject(new VigilError("internal", "nothing was waited for")),
    // Nothing of these is held anywhere: the streams are the process's own, the terminal is whose socket it was given to.
    resize: () => refuseHeld("resize"),
    closeStdin: () => refuseHeld("close standard input"),
    drain: async () => undefined,
    forget: async () => undefined,
  };
}

const inherited: Birth["streams"] = [
  { kind: "inherit", path: "" },
  { kind: "inherit", path: "" },
  { kind: "inherit", path: "" },
];

function refuseHeld(what: string): Promise<never> {
  return Promise.reject(new VigilError("unimplemented", `${what}: a runtime without a supervisor holds no streams`));
}

interface Program {
  /** The number of the next answer, which must be of this kind. */
  answer(kind: "pid" | "ready" | "running" | "done" | "exited"): Promise<number>;
  readonly ended: Promise<void>;
}

function start(args: readonly string[], plan: Uint8Array, preserved: number): Program {
  const path = join(process.env.VIGIL_LIB || dirname(process.argv[1] ?? ""), "vigil-solo");
  const passed = Array.from({ length: preserved }, (_, index) => planFd + index);
  const child = spawn(path, args, {
    stdio: ["inherit", "inherit", "inherit", "pipe", "pipe", ...passed],
    // Of the caller's environment nothing is for it, and LD_PRELOAD and the like would be a hole. CRIU looks for iptables.
    env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", (cause) =>
      reject(new VigilError("not_found", `${path}: ${cause.message}: install vigil again (make install)`, { cause })),
    );
    child.once("close", () => resolve());
  });
  ended.catch(() => undefined);
  forwardSignals(child.kill.bind(child), ended);
  const next = readAnswers(child.stdio[answersFd] as Readable, ended);
  const input = child.stdio[planFd] as Writable;
  // A program that ended before it has read all: its answer says why.
  input.on("error", () => undefined);
  input.end(plan);
  return {
    async answer(kind) {
      const [word, number] = await next();
      if (word !== kind) throw new VigilError("internal", `vigil-solo answered ${word}, not ${kind}`);
      return number;
    },
    ended,
  };
}

/** What comes from the terminal (SIGINT, SIGQUIT, SIGTSTP) the whole foreground group gets anyway. */
function forwardSignals(send: (signal: NodeJS.Signals) => boolean, ended: Promise<void>): void {
  // Not process.stdin: it would make the pipe non-blocking, which is the container's own.
  const fromTerminal = isatty(0) ? ["SIGINT", "SIGQUIT"] : [];
  const forwarded = (["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR2"] as const).map((signal) => {
    const handler = () => {
      if (!fromTerminal.includes(signal)) send(signal);
    };
    process.on(signal, handler);
    return () => process.off(signal, handler);
  });
  const stop = () => {
    for (const each of forwarded) each();
  };
  ended.then(stop, stop);
}

/** Lines of a word and a number; `failed STATUS OP` and everything behind it is a failure. */
function readAnswers(stream: Readable, ended: Promise<void>): () => Promise<readonly [string, number]> {
  let text = "";
  let over = false;
  let wake: () => void = () => undefined;
  stream.setEncoding("utf8");
  stream.on("data", (part: string) => {
    text += part;
    wake();
  });
  stream.on("close", () => {
    over = true;
    wake();
  });
  return async function next() {
    for (;;) {
      const end = text.indexOf("\n");
      const line = text.slice(0, Math.max(end, 0));
      if (line.startsWith("failed ") && over) {
        const [, status, op] = line.split(" ");
        throw new CoreError(-Number(status), Number(op), text.slice(end + 1));
      }
      if (end >= 0 && !line.startsWith("failed ")) {
        text = text.slice(end + 1);
        const [word = "", number] = line.split(" ");
        return [word, Number(number ?? 0)] as const;
      }
      if (over) {
        await ended;
        throw new VigilError("internal", "vigil-solo ended without an answer");
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

/** Lets an init go (native/solo/solo.h): 's', then 'x' before its execve and the end, or 'e' i32 status, u32 op, words. */
async function letGo(directory: string): Promise<void> {
  // Through the directory's descriptor: a socket's address has room for 107 bytes.
  const fd = openSync(directory, constants.O_DIRECTORY);
  try {
    const answer = await converse(`/proc/self/fd/${fd}/${startSocketName}`);
    const failure = answer.indexOf("e");
    if (failure >= 0) {
      const words = answer.subarray(failure + 9).toString();
      throw new CoreError(-answer.readInt32LE(failure + 1), answer.readUInt32LE(failure + 5), words);
    }
    if (answer.length === 0) throw new CoreError(errno.ECHILD, 0, "container init died before its start");
  } finally {
    closeSync(fd);
  }
}

async function converse(path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  const socket = connect({ path }, () => socket.write("s"));
  socket.on("data", (part) => parts.push(part));
  try {
    await once(socket, "close");
  } catch (thrown) {
    const { errno: number = -errno.EIO, message } = thrown as NodeJS.ErrnoException;
    throw new CoreError(-number, 0, `start: ${message}`);
  }
  return Buffer.concat(parts);
}
