import type { Clock } from "../base/clock.js";
import { VigilError } from "../base/errors.js";
import type { Log } from "../base/log.js";
import type { Forwarder } from "./forwarder.js";

export interface Entry {
  readonly sequence: bigint;
  readonly topic: string;
  readonly bytes: Uint8Array;
}

export interface PublisherOptions {
  readonly forwarder: Forwarder;
  readonly clock: Clock;
  readonly log: Log;
  /** Everything up to this sequence was taken, or will never be. */
  delivered(sequence: bigint): void;
  readonly capacity?: number;
}

const firstPauseMs = 50;
const longestPauseMs = 5_000;
const defaultCapacity = 10_000;

/** What goes first when containerd stays away: what tells least. Never an exit, never an OOM. */
const expendable: readonly ReadonlySet<string>[] = [
  new Set(["/tasks/paused", "/tasks/resumed", "/tasks/exec-added"]),
  new Set(["/tasks/exec-started"]),
];

/**
 * Forwards events strictly in order, one at a time, for as long as it takes: the next one leaves when the last one was taken, so
 * an outage delays and never reorders.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #queue: Entry[] = [];
  #idle: (() => void)[] = [];
  #running = false;
  #closed = false;
  #taken = 0n;
  #cancelPause: (() => void) | undefined;
  #pauseMs = firstPauseMs;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#queue.length;
  }

  push(entry: Entry): void {
    this.#queue.push(entry);
    if (this.#queue.length > (this.#options.capacity ?? defaultCapacity)) this.#makeRoom();
    if (!this.#running) void this.#run();
  }

  /** Resolves when everything was taken, or after that time. */
  async drained(timeoutMs: number): Promise<boolean> {
    if (this.#queue.length === 0) return true;
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(timeoutMs, () => resolve(false));
      this.#idle.push(() => {
        cancel();
        resolve(true);
      });
    });
  }

  /** containerd has just spoken: whatever it missed while it was away is tried again now. */
  hurry(): void {
    this.#pauseMs = firstPauseMs;
    this.#cancelPause?.();
  }

  /** Begins nothing new; resolves with the last sequence taken, once what is on its way was answered, or after that time. */
  async finish(timeoutMs: number): Promise<bigint> {
    this.#closed = true;
    this.#cancelPause?.();
    if (this.#running) {
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.after(timeoutMs, resolve);
        this.#idle.push(() => {
          cancel();
          resolve();
        });
      });
    }
    return this.#taken;
  }

  close(): void {
    this.#closed = true;
    this.#cancelPause?.();
    this.#options.forwarder.close();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let entry = this.#queue[0]; entry && !this.#closed; entry = this.#queue[0]) {
      if (await this.#forward(entry)) {
        this.#queue.shift();
        this.#taken = entry.sequence;
        this.#options.delivered(entry.sequence);
        this.#pauseMs = firstPauseMs;
      } else {
        const pauseMs = this.#pauseMs;
        this.#pauseMs = Math.min(pauseMs * 2, longestPauseMs);
        await this.#pause(pauseMs);
      }
    }
    this.#running = false;
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  /** True when there is nothing more to do about this entry. */
  async #forward(entry: Entry): Promise<boolean> {
    const { forwarder, log } = this.#options;
    const { sequence, topic } = entry;
    try {
      await forwarder.forward(entry.bytes);
      return true;
    } catch (error) {
      if (error instanceof VigilError && error.code === "invalid_argument") {
        log.error("an event was rejected and is dropped", { sequence, topic, error });
        return true;
      }
      log.warning("an event is not delivered, keeping it", { sequence, topic, waiting: this.#queue.length, error });
      return false;
    }
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(milliseconds, resolve);
      this.#cancelPause = () => {
        cancel();
        resolve();
      };
    });
  }

  #makeRoom(): void {
    for (const topics of expendable) {
      // The first one is on its way.
      const at = this.#queue.findIndex((entry, index) => index > 0 && topics.has(entry.topic));
      if (at < 0) continue;
      const [entry] = this.#queue.splice(at, 1);
      this.#options.log.error("the outbox is full, an event is dropped", {
        sequence: entry?.sequence,
        topic: entry?.topic,
      });
      return;
    }
  }
}
