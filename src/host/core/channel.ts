import type { Duplex } from "node:stream";
import { VigilError } from "../../base/errors.js";
import { abiVersion, headerBytes, recordMax } from "./records.js";

/** Bytes the core may leave unread before it is taken for dead: it reads all the time, so this is never reached in health. */
const unsentMax = 256 << 20;

export interface ChannelEvents {
  record(type: number, payload: Uint8Array, number: bigint): void;
  /** After the last complete record of what one read brought; `number` is that record's. */
  batch(number: bigint): void;
  /** The core is gone, or has broken the protocol. */
  end(reason: Error | undefined): void;
}

/** Whole records in and out over the stream socket. */
export class Channel {
  readonly #socket: Duplex;
  readonly #events: ChannelEvents;
  #rest: Buffer = Buffer.alloc(0);
  /** Bytes of the record under way that are still missing; chunks are joined only once they are all there. */
  #pieces: Buffer[] = [];
  #missing = 0;

  constructor(socket: Duplex, events: ChannelEvents) {
    this.#socket = socket;
    this.#events = events;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("end", () => events.end(undefined));
    socket.on("error", (error) => events.end(error));
  }

  send(type: number, epoch: number, payload: Uint8Array): void {
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(payload.length, 0);
    header.writeUInt16LE(type, 4);
    header.writeUInt16LE(abiVersion, 6);
    header.writeUInt32LE(epoch, 8);
    // One write(2) for both, and for all commands of one turn of the loop: the core then sees them together.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      queueMicrotask(() => this.#socket.uncork());
    }
    this.#socket.write(header);
    this.#socket.write(payload);
    if (this.#socket.writableLength > unsentMax) {
      this.#events.end(new VigilError("internal", `the core leaves ${this.#socket.writableLength} bytes unread`));
    }
  }

  #receive(chunk: Buffer): void {
    this.#pieces.push(chunk);
    this.#missing -= chunk.length;
    if (this.#missing > 0) return;
    const bytes =
      this.#rest.length > 0 || this.#pieces.length > 1 ? Buffer.concat([this.#rest, ...this.#pieces]) : chunk;
    this.#pieces = [];
    try {
      this.#split(bytes);
    } catch (error) {
      this.#events.end(VigilError.from(error));
    }
  }

  #split(bytes: Buffer): void {
    let at = 0;
    let last: bigint | undefined;
    this.#missing = 0;
    while (bytes.length - at >= headerBytes) {
      const length = bytes.readUInt32LE(at);
      const type = bytes.readUInt16LE(at + 4);
      const version = bytes.readUInt16LE(at + 6);
      if (version !== abiVersion)
        throw new VigilError("internal", `the core speaks version ${version}, not ${abiVersion}`);
      if (length > recordMax) throw new VigilError("internal", `a record of ${length} bytes from the core`);
      const end = at + headerBytes + length;
      if (end > bytes.length) {
        this.#missing = end - bytes.length;
        break;
      }
      last = bytes.readBigUInt64LE(at + 16);
      this.#events.record(type, bytes.subarray(at + headerBytes, end), last);
      at = end;
    }
    this.#rest = bytes.subarray(at);
    if (last !== undefined) this.#events.batch(last);
  }
}
