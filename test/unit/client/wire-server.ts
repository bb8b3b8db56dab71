import { createServer, type Server as NetServer, type Socket } from "node:net";
import { Server, ServerCredentials, type sendUnaryData } from "@grpc/grpc-js";
import { statusCodes, VigilError } from "../../../src/base/errors.js";

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

interface MethodDefinition {
  readonly name: string;
  readonly requestType: Codec<never>;
  readonly responseType: Codec<never>;
  readonly responseStream: boolean;
}

export interface Service {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

export interface Call {
  readonly requestId: string | undefined;
  readonly signal: AbortSignal;
}

/** By method name as the generated definition spells it. A stream's handler returns an async iterable. */
export type Handlers = Readonly<Record<string, Handler>>;

type Handler = (request: never, call: Call) => unknown;

/**
 * The core's side of a shim's socket: it listens for as long as it lives, while the gRPC server behind it can be taken away and
 * given back. Connections that come meanwhile wait.
 */
export class WireServer {
  readonly #listener: NetServer;
  readonly #connections = new Set<Socket>();
  readonly #parked: Socket[] = [];
  #daemon: Server | undefined;
  #injector: ReturnType<Server["createConnectionInjector"]> | undefined;
  readonly #services: readonly (readonly [Service, Handlers])[];

  private constructor(listener: NetServer, services: readonly (readonly [Service, Handlers])[]) {
    this.#listener = listener;
    this.#services = services;
  }

  static async listen(path: string, services: readonly (readonly [Service, Handlers])[]): Promise<WireServer> {
    const listener = createServer();
    const server = new WireServer(listener, services);
    listener.on("connection", (socket) => server.#accept(socket));
    await new Promise<void>((resolve, reject) => listener.once("error", reject).listen(path, resolve));
    server.startDaemon();
    return server;
  }

  #accept(socket: Socket): void {
    this.#connections.add(socket);
    // A client that goes away mid-answer; its call has failed on its own side.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#connections.delete(socket));
    if (this.#injector) this.#injector.injectConnection(socket);
    else this.#parked.push(socket);
  }

  /** As a crash does: every connection that it served ends at once. */
  killDaemon(): void {
    for (const socket of this.#connections) socket.destroy();
    this.#daemon?.forceShutdown();
    this.#daemon = undefined;
    this.#injector = undefined;
  }

  startDaemon(): void {
    const server = new Server();
    for (const [service, handlers] of this.#services) addService(server, service, handlers);
    this.#daemon = server;
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    for (const socket of this.#parked.splice(0)) this.#injector.injectConnection(socket);
  }

  /** The whole shim ends. */
  async close(): Promise<void> {
    this.killDaemon();
    await new Promise((resolve) => this.#listener.close(resolve));
  }
}

function addService(server: Server, service: Service, handlers: Handlers): void {
  const definitions: Record<string, object> = {};
  const implementations: Record<string, unknown> = {};
  for (const [key, method] of Object.entries(service.methods)) {
    const handler = handlers[key];
    if (!handler) continue;
    definitions[method.name] = {
      path: `/${service.fullName}/${method.name}`,
      requestStream: false,
      responseStream: method.responseStream,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => method.requestType.decode(bytes),
      responseSerialize: (message: never) => Buffer.from(method.responseType.encode(message).finish()),
      responseDeserialize: (bytes: Buffer) => bytes,
    };
    implementations[method.name] = method.responseStream ? streaming(handler) : unary(handler);
  }
  if (Object.keys(definitions).length > 0) server.addService(definitions as never, implementations as never);
}

// The shapes of grpc-js's calls, as far as they are used here.
interface ServerCall {
  readonly request: never;
  readonly metadata: { get(key: string): unknown[] };
  on(event: "cancelled", listener: () => void): void;
  write?(message: unknown): boolean;
  end?(): void;
  emit?(event: "error", error: unknown): void;
}

function callOf(call: ServerCall): Call {
  const abort = new AbortController();
  call.on("cancelled", () => abort.abort());
  return { requestId: call.metadata.get("vigil-request-id")[0]?.toString(), signal: abort.signal };
}

function status(error: unknown): { code: number; details: string } {
  const { code, message } = VigilError.from(error);
  return { code: statusCodes[code], details: message };
}

function unary(handler: Handler) {
  return (call: ServerCall, done: sendUnaryData<unknown>) => {
    Promise.resolve()
      .then(() => handler(call.request, callOf(call)))
      .then(
        (answer) => done(null, answer ?? {}),
        (error) => done(status(error)),
      );
  };
}

function streaming(handler: Handler) {
  return async (call: ServerCall) => {
    try {
      for await (const message of handler(call.request, callOf(call)) as AsyncIterable<unknown>) call.write?.(message);
      call.end?.();
    } catch (error) {
      call.emit?.("error", status(error));
    }
  };
}
