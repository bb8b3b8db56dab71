import type { Log } from "../base/log.js";
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
  readonly log: Log;
  /** Absent when there is no containerd: then an event is delivered once it is kept for readers. */
  readonly publisher: Publisher | undefined;
  /** An event has got its number. */
  numbered(event: KeptEvent): void;
}

const json = (state: Json | null): Uint8Array | null => (state === null ? null : Buffer.from(JSON.stringify(state)));

/** What the core keeps at most (VG_OUTBOX_MAX, VG_OUTBOX_BYTES_MAX), less a margin: it refuses a commit beyond. */
const entriesMax = 65_000;
const bytesMax = 60 << 20;

/** Commits state, events and replies together, and hands the events on once they are on disk. */
export class Outbox implements Journal {
  readonly #options: OutboxOptions;
  /** Sizes of the entries that the core keeps, oldest first. */
  readonly #kept: { readonly sequence: bigint; readonly size: number }[] = [];
  /** Entries and bytes of commits under way. */
  #underWay = { entries: 0, bytes: 0 };
  #keptBytes = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Events that containerd has not taken. */
  get depth(): number {
    return this.#options.publisher ? this.#kept.length : 0;
  }

  async commit(commit: Commit): Promise<void> {
    const { core, log } = this.#options;
    const { key, factsThrough, reply, finished } = commit;
    const states = [...commit.states].map(([container, state]) => ({ container, blob: json(state) }));
    let outbox = this.#encode(commit);
    let bytes = outbox.reduce((sum, { entry }) => sum + entry.length, 0);
    if (!this.#hasRoom(outbox.length, bytes)) {
      // The documented bound: state goes on, events are lost.
      log.error("the outbox is full, events are lost", { topics: commit.announcements.map(({ topic }) => topic) });
      outbox = [];
      bytes = 0;
    }
    this.#underWay.entries += outbox.length;
    this.#underWay.bytes += bytes;
    const all = { key, states, outbox, factsThrough, finished, ...(reply && { reply }) };
    const first = await core.commit(all);
    this.#underWay.entries -= outbox.length;
    this.#underWay.bytes -= bytes;
    for (const [index, { fact, entry }] of outbox.entries()) this.#publish(first + BigInt(index), fact, entry);
  }

  /** A consumer that counts has taken everything up to here. */
  delivered(sequence: bigint): void {
    for (let first = this.#kept[0]; first && first.sequence <= sequence; first = this.#kept[0]) {
      this.#keptBytes -= first.size;
      this.#kept.shift();
    }
    this.#options.core.delivered(sequence);
  }

  #encode(commit: Commit): { readonly fact: bigint; readonly entry: Uint8Array }[] {
    return commit.announcements.map((announcement) => ({
      fact: announcement.fact,
      entry: encodeEntry(this.#options.namespace, announcement),
    }));
  }

  #hasRoom(entries: number, bytes: number): boolean {
    return (
      this.#kept.length + this.#underWay.entries + entries <= entriesMax &&
      this.#keptBytes + this.#underWay.bytes + bytes <= bytesMax
    );
  }

  /** An entry that an earlier daemon committed and nobody has taken yet. */
  restore(sequence: bigint, fact: bigint, entry: Uint8Array): void {
    this.#publish(sequence, fact, Uint8Array.from(entry));
  }

  #publish(sequence: bigint, fact: bigint, bytes: Uint8Array): void {
    const { history, publisher, numbered } = this.#options;
    this.#kept.push({ sequence, size: bytes.length });
    this.#keptBytes += bytes.length;
    const event = decodeEntry(sequence, fact, bytes);
    history.push(event);
    numbered(event);
    if (publisher) publisher.push({ sequence, topic: event.topic, bytes });
    else this.#letGo(history.capacity);
  }

  /** Without containerd the core keeps as many entries as readers can ask for, so that the next daemon knows them, too. */
  #letGo(keep: number): void {
    const last = this.#kept.at(-1 - keep);
    if (last) this.delivered(last.sequence);
  }

  /** The shim ends: nobody will ask for what was kept for readers. */
  settle(): void {
    if (!this.#options.publisher) this.#letGo(0);
  }
}
