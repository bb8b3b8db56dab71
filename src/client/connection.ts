import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { Client, credentials, Metadata, type MethodDefinition, type ServiceError } from "@grpc/grpc-js";
import { type ErrorCode, statusCodes, VigilError } from "../base/errors.js";

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
 * listening; so a call that breaks is repeated for as long as somebody listens, at most `patienceMs` in a row.
 */
export interface Connection {
  readonly socket: string;
  unary<Req, Res>(method: MethodDefinition<Req, Res>, request: Req, options?: CallOptions): Promise<Res>;
  /** One attempt: resuming needs to know where, which only the caller does. */
  stream<Req, Res>(method: MethodDefinition<Req, Res>, request: Req, signal?: AbortSignal): AsyncIterable<Res>;
  /** Resolves if a broken call may be repeated now, after a pause that grows with `attempt`; throws otherwise. */
  recover(failure: VigilError, attempt: number): Promise<void>;
  close(): void;
}

export const requestIdHeader = "vigil-request-id";

const defaultTimeoutMs = 60_000;
const patienceMs = 30_000;
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

  const recover = async (failure: VigilError, attempt: number): Promise<void> => {
    if (!isBroken(failure)) throw failure;
    if (!(await listens(socket))) {
      throw new VigilError("unavailable", `nothing listens on ${socket} any more: the shim is gone`, { cause: failure });
    }
    await delay(Math.min(firstPauseMs * 2 ** attempt, longestPauseMs));
  };

  const unary = async <Req, Res>(
    method: MethodDefinition<Req, Res>,
    request: Req,
    options: CallOptions = {},
  ): Promise<Res> => {
    const metadata = new Metadata();
    if (options.mutating) metadata.set(requestIdHeader, options.requestId ?? randomUUID());
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
    let attempt = 0;
    let firstFailure = 0;
    for (;;) {
      const begun = Date.now();
      try {
        return await once(client, method, request, metadata, deadline, options.signal);
      } catch (thrown) {
        const failure = VigilError.from(thrown);
        // A call that held for a while met another daemon than the failures before it.
        if (Date.now() - begun > longestPauseMs) attempt = 0;
        if (attempt === 0) firstFailure = Date.now();
        if (Date.now() - firstFailure > patienceMs) throw failure;
        await recover(failure, attempt++);
      }
    }
  };

  return { socket, unary, stream: (...args) => stream(client, ...args), recover, close: () => client.close() };
}

function once<Req, Res>(
  client: Client,
  method: MethodDefinition<Req, Res>,
  request: Req,
  metadata: Metadata,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<Res> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const call = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      { deadline },
      (error, response) => {
        signal?.removeEventListener("abort", cancel);
        if (error) reject(fromStatus(error));
        else if (response === undefined) reject(new VigilError("internal", `${method.path}: no error and no answer`));
        else resolve(response);
      },
    );
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

async function* stream<Req, Res>(
  client: Client,
  method: MethodDefinition<Req, Res>,
  request: Req,
  signal?: AbortSignal,
): AsyncIterable<Res> {
  signal?.throwIfAborted();
  const call = client.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    request,
    new Metadata(),
  );
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
