import type { Container } from "./container.js";
import type { FactLedger } from "./ledger.js";
import type { Announcement, Journal, Json } from "./ports.js";
import { type Sandbox, saveSandbox } from "./sandbox.js";
import { save } from "./saved.js";

/** The name of the sandbox's state, which is none of a container. */
export const sandboxState = "";

/** What a request changed. */
export interface RequestChange {
  readonly containers?: readonly Container[];
  readonly forgotten?: readonly string[];
  /** Null: there is none any more. */
  readonly sandbox?: Sandbox | null;
  readonly announcements?: readonly Announcement[];
  /** Facts whose consequences this is. */
  readonly covers?: readonly bigint[];
  /** Runs as soon as the commit is on its way: what it commits next comes next. */
  readonly sent?: () => void;
  readonly reply: Uint8Array;
}

/**
 * Gathers what facts change until the batch they came in ends, then commits it at once; what a request changes is its own
 * commit, after what facts before it have changed. So journal, outbox and replies are in the order of what happened.
 */
export class Changes {
  readonly #journal: Journal;
  readonly #ledger: FactLedger;
  readonly #bootId: string;
  readonly #dirty = new Set<Container>();
  #announcements: Announcement[] = [];
  #after: (() => void)[] = [];
  /** The name of the gathered commit: the last fact that it covers. */
  #lastFact = 0n;
  /** Requests that an earlier daemon began are still coming: nothing is concluded from what has not come. */
  restoring = true;

  constructor(journal: Journal, ledger: FactLedger, bootId: string) {
    this.#journal = journal;
    this.#ledger = ledger;
    this.#bootId = bootId;
  }

  factKey(seq: bigint): string {
    return `f:${this.#bootId}:${seq}`;
  }

  /** The next commit has all that this fact leads to: the core may forget it. */
  cover(seq: bigint): void {
    this.#ledger.cover(seq);
    this.#lastFact = seq;
  }

  changed(container: Container): void {
    this.#dirty.add(container);
  }

  announce(announcement: Announcement): void {
    this.#announcements.push(announcement);
  }

  /** Runs once what is gathered now is on disk. */
  after(run: () => void): void {
    this.#after.push(run);
  }

  /** Commits what facts have changed. `finishedKey` names steps of theirs that are over. */
  flush(finishedKey?: string): void {
    const factsThrough = this.#ledger.through();
    if (this.#dirty.size === 0 && this.#announcements.length === 0 && factsThrough === 0n && !finishedKey) return;
    const after = this.#after;
    const states = statesOf(this.#dirty);
    const announcements = this.#announcements;
    this.#dirty.clear();
    this.#announcements = [];
    this.#after = [];
    this.#journal
      .commit({
        key: finishedKey ?? this.factKey(this.#lastFact),
        states,
        announcements,
        factsThrough,
        finished: finishedKey !== undefined,
      })
      .then(() => {
        for (const run of after) run();
      }, fail);
  }

  /** Commits what a request has changed, with its answer; resolves with that once it is on disk. */
  async request(key: string, change: RequestChange): Promise<Uint8Array> {
    // Coverage alone can wait for this commit: the facts of a failed Create go together with its answer.
    if (this.#dirty.size > 0 || this.#announcements.length > 0) this.flush();
    for (const seq of change.covers ?? []) this.#ledger.cover(seq);
    const states = statesOf(change.containers ?? []);
    for (const id of change.forgotten ?? []) states.set(id, null);
    if (change.sandbox !== undefined) states.set(sandboxState, change.sandbox && saveSandbox(change.sandbox));
    const committed = this.#journal.commit({
      key,
      states,
      announcements: change.announcements ?? [],
      factsThrough: this.#ledger.through(),
      reply: change.reply,
      finished: true,
    });
    change.sent?.();
    await committed;
    return change.reply;
  }
}

/** A request about an exec may end after its container's Delete, whose id may be in use again: what is deleted stays deleted. */
function statesOf(containers: Iterable<Container>): Map<string, Json | null> {
  const states = new Map<string, Json | null>();
  for (const container of containers) {
    if (container.init.status !== "deleted") states.set(container.id, save(container));
  }
  return states;
}

/** A fact whose consequences cannot be kept: only a new daemon, to which the core tells it again, can go on. */
function fail(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
