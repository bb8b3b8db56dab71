import { Socket } from "node:net";
import { dirname } from "node:path";
import type { Duplex } from "node:stream";
import { VigilError } from "../base/errors.js";
import { createLog, type Log, type LogLevel } from "../base/log.js";
import { Channel } from "../host/core/channel.js";
import { Core } from "../host/core/core.js";
import { composeDaemon, type Daemon } from "./serve.js";

/** VG_DAEMON_CHANNEL_FD and VG_DAEMON_FDS_FD of native/include/vigil.h. */
const channelFd = 3;
const fdsFd = 4;
const logFd = 2;
/** EX_SOFTWARE: the core starts the next daemon. */
const exitFailed = 70;
/** How long answers may take to leave after the core's end. */
const closeMs = 1_000;

function fail(log: Log, message: string, error: unknown): never {
  log.error(message, { error, stack: error instanceof Error ? error.stack : undefined });
  process.exit(exitFailed);
}

/** A daemon on a stream of records, from hello to the end of the core. */
function run(socket: Duplex, least: LogLevel): void {
  let log = createLog({ fd: logFd, least });
  process.on("uncaughtException", (error) => fail(log, "the daemon failed", error));
  process.on("unhandledRejection", (error) => fail(log, "the daemon failed", error));
  // What ends the shim ends its core, which then tells.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

  let daemon: Daemon | undefined;
  const composed = (): Daemon => daemon ?? fail(log, "the core did not say hello first", undefined);
  const channel = new Channel(socket, {
    record: (type, payload) => core.take(type, payload),
    batch: (number) => core.settle(number),
    end(reason) {
      // A killed core resets the stream instead of ending it; what it sent wrong is another matter.
      if (reason instanceof VigilError) fail(log, "the core's stream failed", reason);
      setTimeout(() => process.exit(0), closeMs).unref();
      void (daemon?.close() ?? Promise.resolve()).then(() => process.exit(0));
    },
  });
  const core: Core = new Core(channel, {
    hello(hello) {
      log = createLog({ fd: logFd, least: hello.debug ? "debug" : least, fields: { namespace: hello.namespace } });
      daemon = composeDaemon(hello, core, { fdsFd, libraryDirectory: libraryDirectory(), log });
    },
    state: (container, blob) => composed().state(container, blob),
    kept: (key, reply) => composed().kept(key, reply),
    outbox: (seq, fact, entry) => composed().outbox(seq, fact, entry),
    fact: (fact) => composed().fact(fact),
    request: (request) => composed().request(request),
    synced: () => composed().synced(),
    closed: (connection) => composed().closed(connection),
    connection: (tag) => composed().connection(tag),
    terminate: (signal) => composed().terminate(signal),
    batch: () => composed().batch(),
  });
}

/** Beside the bundle; elsewhere when run from its sources. */
function libraryDirectory(): string {
  return process.env.VIGIL_LIBDIR ?? dirname(process.argv[1] ?? "");
}

/** `--warm-up` is what makes the code cache (src/boot.cjs). */
async function main(): Promise<void> {
  if (process.argv[2] !== "--warm-up") {
    run(new Socket({ fd: channelFd, readable: true, writable: true }), "info");
    return;
  }
  const { warmUp } = await import("./warm-up.js");
  await warmUp((socket) => run(socket, "error"));
  process.exit(0);
}

void main();
