import type { Socket } from "node:net";
import type * as Grpc from "@grpc/grpc-js";
import type { Clock } from "../base/clock.js";
import { statusCodes, VigilError } from "../base/errors.js";
import type { Log } from "../base/log.js";
import { type Commits, carry } from "./carrier.js";
import { type GrpcChanges, heldData } from "./grpc-changes.js";
import type { Method, Services } from "./method.js";
import { inErrdefsWords, openAnswer } from "./status.js";

export interface GrpcOptions {
  readonly services: Services;
  readonly changes: GrpcChanges;
  readonly core: Commits & { hold(key: string, data: Uint8Array): void };
  readonly clock: Clock;
  readonly log: Log;
}

export interface GrpcServer {
  /** Serves a connected socket whose peer the core has checked. */
  serve(socket: Socket): void;
  /** Lets calls end, then closes. */
  close(): Promise<void>;
}

type Unary = Grpc.ServerUnaryCall<Uint8Array, Uint8Array>;
type UnaryDone = Grpc.sendUnaryData<Uint8Array>;

/** Loads the gRPC stack: 20 to 30 ms and 6 MB, so only for a client that speaks it. */
export async function createGrpcServer(options: GrpcOptions): Promise<GrpcServer> {
  const { Server, ServerCredentials } = await import("@grpc/grpc-js");
  const server = new Server({ "grpc.enable_channelz": 0 });
  for (const [service, methods] of options.services) {
    const definition: Record<string, Grpc.MethodDefinition<Uint8Array, Uint8Array>> = {};
    const handlers: Record<string, Grpc.UntypedHandleCall> = {};
    for (const [name, method] of methods) {
      definition[name] = wireMethod(service, name, method);
      handlers[name] = handler(options, service, name, method);
    }
    server.addService(definition, handlers);
  }
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    serve(socket) {
      injector.injectConnection(socket);
    },
    close: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
  };
}

const sameBytes = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function wireMethod(service: string, name: string, method: Method): Grpc.MethodDefinition<Uint8Array, Uint8Array> {
  return {
    path: `/${service}/${name}`,
    requestStream: method.kind === "dialogue",
    responseStream: method.kind === "dialogue" || method.kind === "stream",
    requestSerialize: sameBytes,
    requestDeserialize: (bytes) => bytes,
    responseSerialize: sameBytes,
    responseDeserialize: (bytes) => bytes,
  };
}

function statusOf(error: unknown): { code: number; details: string } {
  const failure = VigilError.from(error);
  return { code: statusCodes[failure.code], details: inErrdefsWords(failure) };
}

function handler(options: GrpcOptions, service: string, name: string, method: Method): Grpc.UntypedHandleCall {
  switch (method.kind) {
    case "change":
      return (call: Unary, done: UnaryDone) => {
        runChange(options, service, name, method, call).then(
          (payload) => done(null, payload),
          (error) => done(statusOf(error)),
        );
      };
    case "question":
      return (call: Unary, done: UnaryDone) => {
        method.run(call.request).then(
          (payload) => {
            done(null, payload);
            method.replied?.();
          },
          (error) => {
            if (!(error instanceof VigilError)) options.log.error("a request failed in the daemon", { name, error });
            done(statusOf(error));
          },
        );
      };
    case "wait":
      return (call: Unary, done: UnaryDone) => {
        try {
          const end = method.run(call.request, {
            answer: (payload) => done(null, payload),
            refuse: (error) => done(statusOf(error)),
          });
          call.on("cancelled", end);
        } catch (error) {
          done(statusOf(error));
        }
      };
    case "stream":
      return (call: Grpc.ServerWritableStream<Uint8Array, Uint8Array>) => void runStream(method, call);
    case "dialogue":
      return (call: Grpc.ServerDuplexStream<Uint8Array, Uint8Array>) => {
        call.on("data", (payload: Uint8Array) => {
          try {
            call.write(method.run(payload));
          } catch (error) {
            call.emit("error", statusOf(error));
          }
        });
        call.on("end", () => call.end());
      };
  }
}

async function runChange(
  { changes, core, clock, log }: GrpcOptions,
  service: string,
  name: string,
  method: Method & { readonly kind: "change" },
  call: Unary,
): Promise<Uint8Array> {
  const [id] = call.metadata.get("vigil-request-id");
  const key = changes.key(name, id?.toString());
  const reply = await changes.run(key, () =>
    carry({ clock, log, commits: core }, method, call.request, {
      key,
      begun: false,
      begin: () => core.hold(key, heldData(service, name, call.request)),
      deadline: deadlineOf(clock, call.getDeadline()),
      gone: () => call.cancelled,
    }),
  );
  return openAnswer(reply);
}

/** gRPC's deadline is a time of the system clock, in milliseconds. */
function deadlineOf(clock: Clock, deadline: Date | number): bigint | undefined {
  const at = typeof deadline === "number" ? deadline : deadline.getTime();
  if (!Number.isFinite(at)) return undefined;
  return clock.elapsed() + BigInt(Math.round(at - Number(clock.now() / 1_000_000n))) * 1_000_000n;
}

async function runStream(
  method: Method & { readonly kind: "stream" },
  call: Grpc.ServerWritableStream<Uint8Array, Uint8Array>,
): Promise<void> {
  const abort = new AbortController();
  call.on("cancelled", () => abort.abort());
  call.on("close", () => abort.abort());
  const drained = (): Promise<void> =>
    new Promise((resolve) => {
      call.once("drain", resolve);
      abort.signal.addEventListener("abort", () => resolve(), { once: true });
    });
  try {
    for await (const message of method.run(call.request, abort.signal)) {
      if (abort.signal.aborted) return;
      if (!call.write(message)) await drained();
    }
    call.end();
  } catch (error) {
    call.emit("error", statusOf(error));
  }
}
