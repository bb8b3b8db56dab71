import type { VigilError } from "../base/errors.js";

export interface Exit {
  /** Code, or 128 + signal. */
  readonly status: number;
  /** Nanoseconds since 1970; 0n: it never ran. */
  readonly at: bigint;
}

export interface ExitWaiter {
  exited(exit: Exit): void;
  /** There will be no exit to tell of. */
  gone(error: VigilError): void;
}

/** Who waits for the end of one thing. */
export class ExitWaiters {
  readonly #waiters = new Set<ExitWaiter>();

  /** The returned function ends the wait. */
  add(waiter: ExitWaiter): () => void {
    this.#waiters.add(waiter);
    return () => this.#waiters.delete(waiter);
  }

  exited(exit: Exit): void {
    for (const waiter of this.#take()) waiter.exited(exit);
  }

  gone(error: VigilError): void {
    for (const waiter of this.#take()) waiter.gone(error);
  }

  #take(): ExitWaiter[] {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    return waiters;
  }
}
