import { dirname } from "node:path";
import { createLog, type Log } from "../base/log.js";
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

function run(): void {
  let log = createLog({ fd: logFd, least: "info" });
  process.on("uncaughtException", (error) => fail(log, "the daemon failed", error));
  process.on("unhandledRejection", (error) => fail(log, "the daemon failed", error));
  // What ends the shim ends its core, which then tells.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => undefined);

  let daemon: Daemon | undefined;
  const composed = (): Daemon => daemon ?? fail(log, "the core did not say hello first", undefined);
  const channel = Channel.onDescriptor(channelFd, {
    record: (type, payload) => core.take(type, payload),
    batch: (number) => core.settle(number),
    end(reason) {
      if (reason) fail(log, "the core's stream failed", reason);
      setTimeout(() => process.exit(0), closeMs).unref();
      void (daemon?.close() ?? Promise.resolve()).then(() => process.exit(0));
    },
  });
  const core: Core = new Core(channel, {
    hello(hello) {
      log = createLog({ fd: logFd, least: hello.debug ? "debug" : "info", fields: { namespace: hello.namespace } });
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

run();
