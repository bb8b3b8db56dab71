import { VigilError } from "./errors.js";

/**
 * One thing at a time, in order of arrival. A task on an idle mailbox starts within the call, so that what a request reserves is
 * reserved before the next record is looked at. A full mailbox refuses with resource_exhausted.
 */
export class Mailbox {
  readonly #waiting: (() => void)[] = [];
  readonly #capacity: number;
  #busy = false;

  constructor(options: { readonly capacity: number }) {
    this.#capacity = options.capacity;
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    if (!this.#busy) return this.#start(task);
    if (this.#waiting.length >= this.#capacity) {
      return Promise.reject(new VigilError("resource_exhausted", `${this.#capacity} requests are waiting already`));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => this.#start(task).then(resolve, reject));
    });
  }

  async #start<T>(task: () => Promise<T>): Promise<T> {
    this.#busy = true;
    try {
      return await task();
    } finally {
      this.#busy = false;
      this.#waiting.shift()?.();
    }
  }
}
