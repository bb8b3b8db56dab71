import { VigilError } from "../base/errors.js";
import type { Call } from "../task/call.js";
import { encodeAnswer, encodeRefusal } from "./status.js";

/** A message's codec, as src/gen has them. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** A method of a service definition of src/gen. */
export interface MethodDefinition<Request, Response> {
  readonly name: string;
  readonly requestType: Codec<Request>;
  readonly responseType: Codec<Response>;
}

/** A request before its message is read: what transport and core know of it. */
export type RawCall = Pick<Call<unknown>, "key" | "begun" | "begin">;

export interface ReplyTo {
  answer(payload: Uint8Array): void;
  refuse(error: VigilError): void;
}

/** A method as both transports see it: bytes in, bytes out, and what kind of thing it does. */
export type Method =
  /** Changes something: named by a key, carried out once. Resolves with the committed answer; throws only before it began. */
  | { readonly kind: "change"; run(payload: Uint8Array, call: RawCall): Promise<Uint8Array> }
  /** Changes nothing. `replied` runs after the answer was given. */
  | { readonly kind: "question"; run(payload: Uint8Array): Promise<Uint8Array>; replied?(): void }
  /** Answered when something happens; the returned function ends the wait. */
  | { readonly kind: "wait"; run(payload: Uint8Array, reply: ReplyTo): () => void }
  /** gRPC only. The reader pulls: a slow one makes its sender wait, nothing is queued for it. Aborted when it is gone. */
  | { readonly kind: "stream"; run(payload: Uint8Array, signal: AbortSignal): AsyncIterable<Uint8Array> }
  /** gRPC only: each message has its answer. */
  | { readonly kind: "dialogue"; run(payload: Uint8Array): Uint8Array };

/** Full service name → method name → method. */
export type Services = ReadonlyMap<string, ReadonlyMap<string, Method>>;

function read<T>(codec: Codec<T>, payload: Uint8Array): T {
  try {
    return codec.decode(payload);
  } catch (error) {
    throw new VigilError("invalid_argument", "malformed request message", { cause: error });
  }
}

type Named = readonly [name: string, method: Method];

export function change<Request, Response>(
  { name, requestType, responseType }: MethodDefinition<Request, Response>,
  run: (request: Request, call: Call<Response>) => Promise<Uint8Array>,
): Named {
  const method: Method = {
    kind: "change",
    async run(payload, raw) {
      return run(read(requestType, payload), {
        key: raw.key,
        begun: raw.begun,
        begin: () => raw.begin(),
        answer: (result) => encodeAnswer(responseType.encode(result).finish()),
        refuse: encodeRefusal,
      });
    },
  };
  return [name, method];
}

/** The call with its result put into words of the wire. */
export function answering<Model, Wire>(call: Call<Wire>, convert: (result: Model) => Wire): Call<Model> {
  return { ...call, answer: (result) => call.answer(convert(result)) };
}

export function question<Request, Response>(
  { name, requestType, responseType }: MethodDefinition<Request, Response>,
  run: (request: Request) => Response | Promise<Response>,
  replied?: () => void,
): Named {
  const method: Method = {
    kind: "question",
    run: async (payload) => responseType.encode(await run(read(requestType, payload))).finish(),
    ...(replied && { replied }),
  };
  return [name, method];
}

export function wait<Request, Response>(
  { name, requestType, responseType }: MethodDefinition<Request, Response>,
  run: (request: Request, answer: (response: Response) => void, refuse: (error: VigilError) => void) => () => void,
): Named {
  const method: Method = {
    kind: "wait",
    run: (payload, reply) =>
      run(
        read(requestType, payload),
        (response) => reply.answer(responseType.encode(response).finish()),
        (error) => reply.refuse(error),
      ),
  };
  return [name, method];
}

export function stream<Request, Response>(
  { name, requestType, responseType }: MethodDefinition<Request, Response>,
  run: (request: Request, signal: AbortSignal) => AsyncIterable<Response>,
): Named {
  async function* encoded(payload: Uint8Array, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    for await (const message of run(read(requestType, payload), signal)) yield responseType.encode(message).finish();
  }
  return [name, { kind: "stream", run: encoded }];
}

export function dialogue<Request, Response>(
  { name, requestType, responseType }: MethodDefinition<Request, Response>,
  run: (request: Request) => Response,
): Named {
  const method: Method = {
    kind: "dialogue",
    run: (payload) => responseType.encode(run(read(requestType, payload))).finish(),
  };
  return [name, method];
}

export function findMethod(services: Services, service: string, name: string): Method {
  const methods = services.get(service);
  if (!methods) throw new VigilError("unimplemented", `service ${service}`);
  const method = methods.get(name);
  if (!method) throw new VigilError("unimplemented", `method ${name}`);
  return method;
}
