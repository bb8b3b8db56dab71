import { Socket } from "node:net";
import { basename } from "node:path";
import { systemClock } from "../base/clock.js";
import type { Log } from "../base/log.js";
import { Scope } from "../base/scope.js";
import { leaveWord } from "../events/farewell.js";
import { forwardOverGrpc } from "../events/forward-grpc.js";
import { forwardOverTtrpc } from "../events/forward-ttrpc.js";
import { EventHistory } from "../events/history.js";
import { Outbox } from "../events/outbox.js";
import { Publisher } from "../events/publisher.js";
import { joinShimCgroup } from "../host/cgroup/shim-cgroup.js";
import type { Core, CoreEvents } from "../host/core/core.js";
import { createFdReceiver } from "../host/core/fds.js";
import type { Hello } from "../host/core/records.js";
import { createChosenRuntime } from "../host/runtime/chosen.js";
import { createNativeRuntime } from "../host/runtime/native.js";
import { createOciRuntime } from "../host/runtime/oci-cli.js";
import { createSandboxRuntime } from "../host/runtime/sandbox.js";
import { OomHistory } from "../oom/history.js";
import type { GrpcServer } from "../rpc/grpc.js";
import { GrpcChanges } from "../rpc/grpc-changes.js";
import type { Method } from "../rpc/method.js";
import { sandboxService } from "../rpc/sandbox-service.js";
import { taskService } from "../rpc/task-service.js";
import { TtrpcRelay } from "../rpc/ttrpc.js";
import { Registry } from "../task/registry.js";

export interface DaemonOptions {
  /** The SEQPACKET socket on which the core sends descriptors. */
  readonly fdsFd: number;
  /** Where libvigil.so is. */
  readonly libraryDirectory: string;
  readonly log: Log;
}

/** Everything that one core's daemon consists of. */
export interface Daemon extends CoreEvents {
  /** The core has ended the stream: answers on their way to gRPC clients still go out. */
  close(): Promise<void>;
}

/** How long Shutdown waits for events to be taken; the rest stays on disk. */
const drainMs = 2_000;
const keptEvents = 1_000;
/** How long a daemon without a core waits for the answer to the event that is on its way. */
const farewellMs = 250;
/** Where cores have their entries; the launcher and the core read the same variable. */
const runDirectory = process.env.VIGIL_RUN ?? "/run/vigil";

/** The composition root: who exists and who knows whom. `core` is called from here on, `hello` comes first from it. */
export function composeDaemon(hello: Hello, core: Core, { fdsFd, libraryDirectory, log }: DaemonOptions): Daemon {
  const clock = systemClock;
  const scope = new Scope("daemon");
  const { namespace, bootId, corePid, stateDirectory } = hello;

  const history = new EventHistory({ capacity: keptEvents });
  const reports = new OomHistory({ stateDirectory, namespace, log });
  const forwarder = forwarderTo(hello);
  const publisher =
    forwarder &&
    scope.own(new Publisher({ forwarder, clock, log, delivered: (sequence) => outbox.delivered(sequence) }));
  const outbox: Outbox = new Outbox({
    core,
    namespace,
    history,
    publisher,
    log,
    numbered: ({ fact, sequence }) => reports.numbered(fact, sequence),
  });
  const runtime = createChosenRuntime(
    createNativeRuntime(core, { namespace, log }),
    createOciRuntime(core, { namespace, runDirectory }),
    (shimCgroup) => joinShimCgroup(shimCgroup, [corePid, process.pid]),
  );
  const sandboxRuntime = createSandboxRuntime(core);
  const registry = new Registry({ runtime, sandboxRuntime, journal: outbox, reports, clock, log, bootId });

  const commits = {
    commitReply: (key: string, reply: Uint8Array): Promise<void> =>
      outbox.commit({ key, states: new Map(), announcements: [], factsThrough: 0n, reply, finished: true }),
    begin: (key: string) => core.begin(key),
    park: (key: string) => core.park(key),
    hold: (key: string, data: Uint8Array) => core.hold(key, data),
    reply: (key: string, reply: Uint8Array) => core.reply(key, reply),
  };
  const end = (): void => {
    outbox.settle();
    core.shutdown();
  };
  const tasks = taskService({ registry, corePid, end });
  const sandboxes = sandboxService({ registry, corePid, end });
  const changes = new GrpcChanges();
  const relay = new TtrpcRelay({
    core: commits,
    services: new Map<string, ReadonlyMap<string, Method>>([
      ["containerd.task.v2.Task", tasks],
      ["containerd.task.v3.Task", tasks],
      ["containerd.runtime.sandbox.v1.Sandbox", sandboxes],
    ]),
    clock,
    log,
    resumed: (key, carried) => void changes.attach(key, carried),
  });

  // The gRPC side is loaded by the first HTTP/2 connection, so that a shim which only speaks ttrpc never carries it.
  let grpc: Promise<GrpcServer> | undefined;
  const descriptors = createFdReceiver(fdsFd, libraryDirectory);
  const startGrpc = async (): Promise<GrpcServer> => {
    const [{ createGrpcServer }, { publicServices }] = await Promise.all([
      import("../rpc/grpc.js"),
      import("./public-services.js"),
    ]);
    const services = publicServices({ tasks, sandboxes, hello, history, registry, reports, outbox });
    return scope.own(await createGrpcServer({ services, changes, core: commits, clock, log }));
  };
  const serveGrpc = async (tag: bigint): Promise<void> => {
    try {
      grpc ??= startGrpc();
      const server = await grpc;
      const fd = await descriptors.take(tag);
      server.serve(new Socket({ fd, readable: true, writable: true }));
    } catch (error) {
      log.error("a gRPC connection was not served", { error });
    }
  };

  return {
    hello: () => log.warning("a second hello from the core"),
    state: (container, blob) => registry.restore(container, JSON.parse(Buffer.from(blob).toString("utf8"))),
    kept: (key, reply) => changes.restore(key, Uint8Array.from(reply)),
    outbox: (sequence, fact, entry) => outbox.restore(sequence, fact, entry),
    fact: (fact) => registry.fact(fact),
    request(request) {
      publisher?.hurry();
      relay.request(request);
    },
    synced() {
      registry.synced();
      core.ready();
      const { daemonRestarts } = hello;
      log.info("ready", { group: basename(stateDirectory), containers: registry.size, daemonRestarts });
    },
    closed: (connection) => relay.closed(connection),
    connection: (tag) => void serveGrpc(tag),
    terminate(signal) {
      if (!registry.empty) {
        log.warning("asked to end while containers live; staying", { signal });
        return;
      }
      const drained = publisher?.drained(drainMs) ?? Promise.resolve(true);
      void drained.then(() => {
        if (registry.empty) end();
      });
    },
    batch: () => registry.flush(),
    async close() {
      if (publisher) leaveWord(hello, runDirectory, await publisher.finish(farewellMs));
      await scope.close();
    },
  };
}

/** containerd's ttrpc socket where there is one, else its gRPC socket, else nobody. */
function forwarderTo({ ttrpcAddress, grpcAddress }: Hello) {
  if (ttrpcAddress !== "") return forwardOverTtrpc(ttrpcAddress, systemClock);
  return grpcAddress === "" ? undefined : forwardOverGrpc(grpcAddress);
}
