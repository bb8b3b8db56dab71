import type { Commit, Journal, Json } from "../task/ports.js";
import type { EventHistory } from "./history.js";
import type { Publisher } from "./publisher.js";
import { decodeEntry, encodeEntry, type KeptEvent } from "./topics.js";

/** The core's commit: one append, answered with the number of its first outbox entry. */
export interface CommitPort {
  commit(commit: {
    readonly key: string;
    readonly states: readonly { readonly container: string; readonly blob: Uint8Array | null }[];
    readonly outbox: readonly { readonly fact: bigint; readonly entry: Uint8Array }[];
    readonly factsThrough: bigint;
    readonly reply?: Uint8Array;
    readonly finished: boolean;
  }): Promise<bigint>;
  delivered(sequence: bigint): void;
}

export interface OutboxOptions {
  readonly core: CommitPort;
  readonly namespace: string;
  readonly history: EventHistory;
  /** Absent when there is no containerd: then an event is delivered once it is kept for readers. */
  readonly publisher: Publisher | undefined;
  /** An event has got its number. */
  numbered(event: KeptEvent): void;
}

const json = (state: Json | null): Uint8Array | null => (state === null ? null : Buffer.from(JSON.stringify(state)));

/** Commits state, events and replies together, and hands the events on once they are on disk. */
export class Outbox implements Journal {
  readonly #options: OutboxOptions;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  async commit(commit: Commit): Promise<void> {
    const { key, factsThrough, reply, finished } = commit;
    const outbox = commit.announcements.map((announcement) => ({
      fact: announcement.fact,
      entry: encodeEntry(this.#options.namespace, announcement),
    }));
    const states = [...commit.states].map(([container, state]) => ({ container, blob: json(state) }));
    const first = await this.#options.core.commit({
      key,
      states,
      outbox,
      factsThrough,
      finished,
      ...(reply && { reply }),
    });
    for (const [index, { fact, entry }] of outbox.entries()) this.#publish(first + BigInt(index), fact, entry);
  }

  /** An entry that an earlier daemon committed and nobody has taken yet. */
  restore(sequence: bigint, fact: bigint, entry: Uint8Array): void {
    this.#publish(sequence, fact, Uint8Array.from(entry));
  }

  #publish(sequence: bigint, fact: bigint, bytes: Uint8Array): void {
    const { history, publisher, core, numbered } = this.#options;
    const event = decodeEntry(sequence, fact, bytes);
    history.push(event);
    numbered(event);
    if (publisher) publisher.push({ sequence, topic: event.topic, bytes });
    else core.delivered(sequence);
  }
}
