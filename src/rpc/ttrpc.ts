import type { Clock } from "../base/clock.js";
import { VigilError } from "../base/errors.js";
import type { Log } from "../base/log.js";
import { Request } from "../gen/ttrpc/request.js";
import { type Carried, type Commits, carry, deadlineError, deadlineOf, expired } from "./carrier.js";
import { findMethod, type Method, type Services } from "./method.js";
import { encodeAnswer, encodeRefusal } from "./status.js";

/** A request as the core relays it: ttrpc's Request message and what it knows of its delivery. */
export interface RelayedRequest {
  readonly key: string;
  /** 0n: a held gRPC change of an earlier daemon; nobody waits for its answer here. */
  readonly connection: bigint;
  readonly ageNs: bigint;
  readonly begun: boolean;
  readonly data: Uint8Array;
}

export interface RelayCore extends Commits {
  begin(key: string): void;
  park(key: string): void;
  reply(key: string, reply: Uint8Array): void;
}

export interface RelayOptions {
  readonly core: RelayCore;
  readonly services: Services;
  readonly clock: Clock;
  readonly log: Log;
  /** A held gRPC change is being carried out again: a client that comes with its key waits for this. */
  resumed(key: string, carried: Promise<Carried>): void;
}

/** Dispatches what the core relays. The connection, its framing and its unanswered requests are the core's. */
export class TtrpcRelay {
  readonly #options: RelayOptions;
  /** By connection: what its end drops. */
  readonly #open = new Map<bigint, Map<string, () => void>>();

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  request(relayed: RelayedRequest): void {
    const { core, services, clock } = this.#options;
    try {
      const request = decode(relayed.data);
      const method = findMethod(services, request.service, request.method);
      const deadline = deadlineOf(clock, request.timeoutNano, relayed.ageNs);
      if (!relayed.begun && expired(clock, deadline)) throw deadlineError();
      this.#dispatch(method, request, relayed, deadline);
    } catch (error) {
      const reply = encodeRefusal(VigilError.from(error));
      if (relayed.begun) void core.commitReply(relayed.key, reply);
      else core.reply(relayed.key, reply);
    }
  }

  closed(connection: bigint): void {
    const open = this.#open.get(connection);
    this.#open.delete(connection);
    for (const drop of open?.values() ?? []) drop();
  }

  #dispatch(method: Method, request: Request, relayed: RelayedRequest, deadline: bigint | undefined): void {
    switch (method.kind) {
      case "change":
        this.#change(method, request, relayed, deadline);
        break;
      case "question":
        this.#question(method, request, relayed.key);
        break;
      case "wait":
        this.#wait(method, request, relayed, deadline);
        break;
      case "stream":
      case "dialogue":
        throw new VigilError("unimplemented", `method ${request.method} streams, which only gRPC can`);
    }
  }

  #change(
    method: Method & { readonly kind: "change" },
    request: Request,
    { key, connection, begun }: RelayedRequest,
    deadline: bigint | undefined,
  ): void {
    const { core, clock, log } = this.#options;
    let gone = false;
    const close = this.#whileOpen(connection, key, () => {
      gone = true;
    });
    const carried = carry({ clock, log, commits: core }, method, request.payload, {
      key,
      begun,
      deadline,
      begin: () => core.begin(key),
      gone: () => gone,
    });
    if (connection === 0n) this.#options.resumed(key, carried);
    void carried.then(({ reply, committed }) => {
      close();
      // What the core dropped with its connection is not answered.
      if (!committed && !gone) core.reply(key, reply);
    });
  }

  #question(method: Method & { readonly kind: "question" }, request: Request, key: string): void {
    const { core } = this.#options;
    void method.run(request.payload).then(
      (payload) => {
        core.reply(key, encodeAnswer(payload));
        method.replied?.();
      },
      (error) => core.reply(key, encodeRefusal(this.#refusal(key, error))),
    );
  }

  #wait(
    method: Method & { readonly kind: "wait" },
    request: Request,
    { key, connection }: RelayedRequest,
    deadline: bigint | undefined,
  ): void {
    const { core, clock } = this.#options;
    let answered = false;
    let parked = false;
    const finish = (reply: Uint8Array | undefined): void => {
      if (answered) return;
      answered = true;
      if (parked) drop();
      if (reply) core.reply(key, reply);
    };
    const endWait = method.run(request.payload, {
      answer: (payload) => finish(encodeAnswer(payload)),
      refuse: (error) => finish(encodeRefusal(error)),
    });
    if (answered) return;
    core.park(key);
    parked = true;
    const close = this.#whileOpen(connection, key, () => finish(undefined));
    const cancelTimer =
      deadline === undefined
        ? undefined
        : clock.after(Number((deadline - clock.elapsed()) / 1_000_000n), () => finish(encodeRefusal(deadlineError())));
    const drop = (): void => {
      close();
      cancelTimer?.();
      endWait();
    };
  }

  #refusal(key: string, error: unknown): VigilError {
    if (!(error instanceof VigilError)) this.#options.log.error("a request failed in the daemon", { key, error });
    return VigilError.from(error);
  }

  #whileOpen(connection: bigint, key: string, closed: () => void): () => void {
    const open = this.#open.get(connection) ?? new Map<string, () => void>();
    this.#open.set(connection, open);
    open.set(key, closed);
    return () => {
      open.delete(key);
      if (open.size === 0) this.#open.delete(connection);
    };
  }
}

function decode(data: Uint8Array): Request {
  try {
    return Request.decode(data);
  } catch (error) {
    throw new VigilError("invalid_argument", "malformed ttrpc request", { cause: error });
  }
}
