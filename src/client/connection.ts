import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { BinaryWriter } from "@bufbuild/protobuf/wire";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { type ErrorCode, statusCodes, VigilError } from "../base/errors.js";

interface Codec<T> {
  encode(message: T): BinaryWriter;
  decode(bytes: Uint8Array): T;
}

/** A method as generated service definitions list it. */
export interface Rpc<Req, Res> {
  readonly name: string;
  readonly requestType: Codec<Req>;
  readonly responseType: Codec<Res>;
}

export interface CallOptions {
  /** The call changes something: it carries `vigil-request-id`, so that a retry of it acts once. */
  readonly mutating?: boolean;
  /** Another id than a random one, for a caller that repeats the call after its own restart. */
  readonly requestId?: string;
  /** For all attempts together; 0: no limit. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A gRPC connection to one shim. Its daemon may restart at any moment, which ends the connection while the core goes on
 * listening; so a call that breaks is repeated for as long as somebody listens, about half a minute long.
 */
export interface Connection {
  readonly socket: string;
  /** `service`: its full name, as in `containerd.task.v3.Task`. */
  unary<Req, Res>(service: string, rpc: Rpc<Req, Res>, request: Req, options?: CallOptions): Promise<Res>;
  /** One attempt: resuming needs to know where, which only the caller does. */
  stream<Req, Res>(service: string, rpc: Rpc<Req, Res>, request: Req, signal?: AbortSignal): AsyncIterable<Res>;
  /**
   * After a broken call: true, following a pause that grows with `attempt`, when it may be repeated; false when nothing
   * listens any more, the shim is gone. Throws a failure that is not the connection's.
   */
  recover(failure: VigilError, attempt: number): Promise<boolean>;
  close(): void;
}

export const requestIdHeader = "vigil-request-id";

const defaultTimeoutMs = 60_000;
const attemptsMax = 35; // with the pauses below: half a minute
const firstPauseMs = 25;
const longestPauseMs = 1_000;
const receiveMaxBytes = 64 << 20; // a thousand OOM reports are more than gRPC's 4 MiB
const codeNames = new Map(Object.entries(statusCodes).map(([name, code]) => [code as number, name as ErrorCode]));

export function openConnection(socket: string): Connection {
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), {
    "grpc.default_authority": "localhost",
    "grpc.max_receive_message_length": receiveMaxBytes,
    "grpc.initial_reconnect_backoff_ms": firstPauseMs,
    "grpc.max_reconnect_backoff_ms": longestPauseMs,
    "grpc.use_local_subchannel_pool": 1,
  });

  const recover = async (failure: VigilError, attempt: number): Promise<boolean> => {
    if (!isBroken(failure) || attempt >= attemptsMax) throw failure;
    if (!(await listens(socket))) return false;
    await delay(Math.min(firstPauseMs * 2 ** attempt, longestPauseMs));
    return true;
  };

  const unary = async <Req, Res>(
    service: string,
    rpc: Rpc<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): Promise<Res> => {
    const metadata = new Metadata();
    if (options.mutating) metadata.set(requestIdHeader, options.requestId ?? randomUUID());
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
    for (let attempt = 0; ; attempt++) {
      const begun = Date.now();
      try {
        return await once(client, service, rpc, request, metadata, deadline, options.signal);
      } catch (thrown) {
        const failure = VigilError.from(thrown);
        // A call that held for a while met another daemon than the failures before it.
        if (Date.now() - begun > longestPauseMs) attempt = 0;
        if (!(await recover(failure, attempt))) {
          throw new VigilError("unavailable", `nothing listens on ${socket} any more: the shim is gone`, {
            cause: failure,
          });
        }
      }
    }
  };

  return { socket, unary, stream: (...args) => stream(client, ...args), recover, close: () => client.close() };
}

function once<Req, Res>(
  client: Client,
  service: string,
  rpc: Rpc<Req, Res>,
  request: Req,
  metadata: Metadata,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const call = client.makeUnaryRequest(
      `/${service}/${rpc.name}`,
      ...serializers(rpc),
      request,
      metadata,
      { deadline },
      (error, response) => {
        signal?.removeEventListener("abort", cancel);
        if (error) reject(fromStatus(error));
        else if (response === undefined)
          reject(new VigilError("internal", `${service}/${rpc.name}: neither error nor answer`));
        else resolve(response);
      },
    );
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

async function* stream<Req, Res>(
  client: Client,
  service: string,
  rpc: Rpc<Req, Res>,
  request: Req,
  signal?: AbortSignal,
): AsyncIterable<Res> {
  signal?.throwIfAborted();
  const call = client.makeServerStreamRequest(`/${service}/${rpc.name}`, ...serializers(rpc), request, new Metadata());
  const cancel = () => call.cancel();
  // A cancelled call emits its error when nobody iterates any more; what matters arrives through the iterator below.
  call.on("error", () => undefined);
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for await (const message of call) yield message as Res;
  } catch (error) {
    throw fromStatus(error as ServiceError);
  } finally {
    signal?.removeEventListener("abort", cancel);
    call.cancel();
  }
}

function serializers<Req, Res>(rpc: Rpc<Req, Res>): [(request: Req) => Buffer, (bytes: Buffer) => Res] {
  return [
    (request) => Buffer.from(rpc.requestType.encode(request).finish()),
    (bytes) => rpc.responseType.decode(bytes),
  ];
}

function fromStatus(error: ServiceError): VigilError {
  if (error.code === undefined) return VigilError.from(error);
  return new VigilError(codeNames.get(error.code) ?? "unknown", error.details || error.message, { cause: error });
}

/** The transport failed, not the call: the peer went away before it answered. */
function isBroken(failure: VigilError): boolean {
  return failure.code === "unavailable" || (failure.code === "internal" && /RST_STREAM/.test(failure.message));
}

/** The core listens for as long as it lives; when it is gone, so is everything that a retry could reach. */
function listens(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
