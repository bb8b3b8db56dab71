import { VigilError } from "./errors.js";

type Closer = () => void | Promise<void>;

/** Owns what must be closed: in reverse order, all of it, also when one fails. Refuses additions after closing. */
export class Scope {
  readonly #name: string;
  #closers: Closer[] | undefined = [];

  constructor(name: string) {
    this.#name = name;
  }

  /** Owns something that can close itself; returns it, so that making and owning are one line. */
  own<T extends { close(): void | Promise<void> }>(thing: T): T {
    this.defer(() => thing.close());
    return thing;
  }

  defer(closer: Closer): void {
    if (!this.#closers) throw new VigilError("failed_precondition", `scope ${this.#name} is closed`);
    this.#closers.push(closer);
  }

  async close(): Promise<void> {
    const closers = this.#closers ?? [];
    this.#closers = undefined;
    const failures: unknown[] = [];
    for (const closer of closers.reverse()) {
      try {
        await closer();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, `closing ${this.#name}`);
  }
}
