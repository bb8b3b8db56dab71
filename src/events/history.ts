import type { KeptEvent } from "./topics.js";

/** The last events, for readers that come late or fall behind; older ones are dropped. */
export class EventHistory {
  readonly #capacity: number;
  readonly #events: KeptEvent[] = [];
  readonly #waiting = new Set<() => void>();
  #droppedThrough: bigint | undefined;
  #last = 0n;

  constructor(options: { readonly capacity: number }) {
    this.#capacity = options.capacity;
  }

  get capacity(): number {
    return this.#capacity;
  }

  /** The highest sequence that is no longer kept; 0n while all are. */
  get droppedThrough(): bigint {
    return this.#droppedThrough ?? 0n;
  }

  /** The highest sequence there was. */
  get last(): bigint {
    return this.#last;
  }

  push(event: KeptEvent): void {
    // What was delivered before this daemon began is not kept.
    this.#droppedThrough ??= event.sequence - 1n;
    this.#events.push(event);
    this.#last = event.sequence;
    if (this.#events.length > this.#capacity) this.#droppedThrough = this.#events.shift()?.sequence;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Kept events with a higher sequence, lowest first, at most `limit`. */
  after(sequence: bigint, limit: number): readonly KeptEvent[] {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const event = this.#events[middle];
      if (event && event.sequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low, low + limit);
  }

  /** Resolves once an event with a higher sequence exists, or the signal is aborted. */
  async grown(sequence: bigint, signal: AbortSignal): Promise<void> {
    while (this.#last <= sequence && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          signal.removeEventListener("abort", wake);
          this.#waiting.delete(wake);
          resolve();
        };
        signal.addEventListener("abort", wake, { once: true });
        this.#waiting.add(wake);
      });
    }
  }
}
