import { connect, type Socket } from "node:net";
import { Request, Response } from "../../src/gen/ttrpc/request.js";

const headerBytes = 10;

export interface TtrpcAnswer {
  readonly code: number;
  readonly message: string;
  readonly payload: Uint8Array;
}

/** One ttrpc connection with any number of calls under way: what containerd is to a shim. */
export class TtrpcClient {
  readonly #socket: Socket;
  readonly #calls = new Map<number, { resolve(answer: TtrpcAnswer): void; reject(error: Error): void }>();
  #stream = -1;
  #rest: Buffer = Buffer.alloc(0);

  constructor(path: string) {
    this.#socket = connect(path.replace(/^unix:\/\//, ""));
    this.#socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#socket.on("error", (error) => this.#fail(error));
    this.#socket.on("close", () => this.#fail(new Error("the connection was closed")));
  }

  call(service: string, method: string, payload: Uint8Array, timeoutNs = 0n): Promise<TtrpcAnswer> {
    this.#stream += 2;
    const stream = this.#stream;
    const data = Request.encode({ service, method, payload, timeoutNano: timeoutNs, metadata: [] }).finish();
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32BE(data.length, 0);
    header.writeUInt32BE(stream, 4);
    header.writeUInt8(1, 8);
    return new Promise((resolve, reject) => {
      this.#calls.set(stream, { resolve, reject });
      this.#socket.write(Buffer.concat([header, data]));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= headerBytes && this.#rest.length >= headerBytes + this.#rest.readUInt32BE(0)) {
      const end = headerBytes + this.#rest.readUInt32BE(0);
      const { status, payload } = Response.decode(this.#rest.subarray(headerBytes, end));
      const stream = this.#rest.readUInt32BE(4);
      this.#rest = this.#rest.subarray(end);
      this.#calls.get(stream)?.resolve({ code: status?.code ?? 0, message: status?.message ?? "", payload });
      this.#calls.delete(stream);
    }
  }

  #fail(error: Error): void {
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
  }
}
