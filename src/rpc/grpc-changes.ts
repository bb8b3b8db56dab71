import { VigilError } from "../base/errors.js";
import { Request } from "../gen/ttrpc/request.js";
import type { Carried } from "./carrier.js";

/** VG_KEPT_REPLIES_MAX of native/include/vigil.h: the core keeps no more. */
const keptMax = 256;

/** A request's id becomes part of a key, whose steps are told by their slash (VG_KEY_MAX bounds it). */
const requestId = /^[A-Za-z0-9._:-]{1,100}$/;

/** The data of a held change: what a request over ttrpc would have been, so that a replay takes the same way. */
export function heldData(service: string, method: string, payload: Uint8Array): Uint8Array {
  return Request.encode({ service, method, payload, timeoutNano: 0n, metadata: [] }).finish();
}

/**
 * Changes that came over gRPC: a retry with the same vigil-request-id gets the first answer, kept by the core over restarts of
 * the daemon, or waits for it.
 */
export class GrpcChanges {
  readonly #kept = new Map<string, Uint8Array>();
  readonly #running = new Map<string, Promise<Carried>>();

  /** A reply that an earlier daemon committed. */
  restore(key: string, reply: Uint8Array): void {
    this.#kept.set(key, reply);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > keptMax && !oldest.done) this.#kept.delete(oldest.value);
  }

  /** The key of a change: the client's id of it, or one nobody will ask for again. */
  key(method: string, id: string | undefined): string {
    if (id === undefined) return `g:${method}:~${crypto.randomUUID()}`;
    if (!requestId.test(id)) {
      throw new VigilError("invalid_argument", `vigil-request-id ${JSON.stringify(id)} must match ${requestId.source}`);
    }
    return `g:${method}:${id}`;
  }

  async run(key: string, carry: () => Promise<Carried>): Promise<Uint8Array> {
    const kept = this.#kept.get(key);
    if (kept) return kept;
    const running = this.#running.get(key);
    return (await (running ?? this.attach(key, carry()))).reply;
  }

  /** Another call with this key waits for this one. */
  attach(key: string, carried: Promise<Carried>): Promise<Carried> {
    this.#running.set(key, carried);
    const over = (done: Carried | undefined): void => {
      this.#running.delete(key);
      if (done?.committed && !key.includes(":~")) this.restore(key, done.reply);
    };
    carried.then(over, () => over(undefined));
    return carried;
  }
}
