/**
 * Which facts are covered by commits. A commit may only say "all facts through N", while facts of a container under creation
 * wait for it: N is the last one before the first that is not covered yet.
 */
export class FactLedger {
  readonly #open = new Set<bigint>();
  #last = 0n;
  #told = 0n;

  arrived(seq: bigint): void {
    this.#open.add(seq);
    if (seq > this.#last) this.#last = seq;
  }

  cover(seq: bigint): void {
    this.#open.delete(seq);
  }

  /** For the next commit; 0n when it has nothing new to say. */
  through(): bigint {
    let through = this.#last;
    // The set is in order of arrival, and facts arrive in their order.
    for (const first of this.#open) {
      through = first - 1n;
      break;
    }
    if (through <= this.#told) return 0n;
    this.#told = through;
    return through;
  }
}
