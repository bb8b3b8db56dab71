import type { Clock } from "../../src/base/clock.js";

/** A clock that goes when it is told to. */
export class ManualClock implements Clock {
  readonly #timers = new Set<{ readonly at: bigint; readonly fired: () => void }>();
  #elapsed = 0n;

  now(): bigint {
    return 1_700_000_000_000_000_000n + this.#elapsed;
  }

  elapsed(): bigint {
    return this.#elapsed;
  }

  after(milliseconds: number, fired: () => void): () => void {
    const timer = { at: this.#elapsed + BigInt(Math.round(milliseconds)) * 1_000_000n, fired };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  get pending(): number {
    return this.#timers.size;
  }

  async advance(milliseconds: number): Promise<void> {
    this.#elapsed += BigInt(milliseconds) * 1_000_000n;
    for (const timer of [...this.#timers].sort((a, b) => Number(a.at - b.at))) {
      if (timer.at > this.#elapsed) continue;
      this.#timers.delete(timer);
      timer.fired();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
