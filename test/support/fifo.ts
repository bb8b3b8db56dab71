// A client's ends of a container's streams.
import { execFileSync } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import { constants, openSync } from "node:fs";
import { Socket } from "node:net";

export function makeFifo(path: string): string {
  execFileSync("mkfifo", [path]);
  return path;
}

const textMax = 4096;

/** Reads a FIFO as containerd's clients do: opened before its writer is there. */
export class FifoReader implements Disposable {
  readonly #socket: Socket;
  readonly #hash: Hash = createHash("sha256");
  readonly ended: Promise<unknown>;
  bytes = 0;
  /** The end of what has come. */
  text = "";
  /** Stops reading when so much has come. */
  stopAt = Number.POSITIVE_INFINITY;

  constructor(path: string) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.ended = once(this.#socket, "end");
    this.#socket.on("data", (part: Buffer) => {
      this.bytes += part.length;
      this.#hash.update(part);
      this.text = (this.text + part.toString("latin1")).slice(-textMax);
      if (this.bytes >= this.stopAt) this.#socket.pause();
    });
  }

  resume(): void {
    this.stopAt = Number.POSITIVE_INFINITY;
    this.#socket.resume();
  }

  get digest(): string {
    return this.#hash.copy().digest("hex");
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/** Writes into a FIFO; the promise of `write` waits until the other side has taken it. */
export class FifoWriter implements Disposable {
  readonly #socket: Socket;

  constructor(path: string) {
    // Read-write: a FIFO without a reader refuses to be opened for writing alone without waiting (fifo(7)).
    const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    this.#socket = new Socket({ fd, readable: false, writable: true });
  }

  write(data: Buffer): Promise<void> {
    return new Promise((resolve, reject) => this.#socket.write(data, (error) => (error ? reject(error) : resolve())));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
