// A ttrpc client that can also say wrong things: frames are made by hand (containerd ttrpc PROTOCOL.md).
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Request, Response } from "../../src/gen/ttrpc/request.js";

export interface Answer {
  readonly code: number;
  readonly message: string;
  readonly payload: Uint8Array;
}

export class TtrpcClient implements Disposable {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #rest: Buffer = Buffer.alloc(0);
  #stream = -1;
  readonly closed: Promise<unknown>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // A server that hangs up on garbage is one of the things to see.
    socket.on("error", () => undefined);
    this.closed = once(socket, "close");
    socket.on("data", (chunk) => this.#take(chunk));
  }

  static async connect(path: string): Promise<TtrpcClient> {
    const socket = connect(path);
    await once(socket, "connect");
    return new TtrpcClient(socket);
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  call(
    method: string,
    payload: Uint8Array,
    options: { readonly service?: string; readonly timeoutNano?: bigint } = {},
  ): Promise<Answer> {
    this.#stream += 2;
    const { service = "containerd.task.v2.Task", timeoutNano = 0n } = options;
    return this.send(
      this.#stream,
      Request.encode({ service, method, payload: Buffer.from(payload), timeoutNano, metadata: [] }).finish(),
    );
  }

  /** One frame with any stream id and any body; resolves with the answer to that id. */
  send(stream: number, body: Uint8Array, type = 1): Promise<Answer> {
    const header = Buffer.alloc(10);
    header.writeUInt32BE(body.length, 0);
    header.writeUInt32BE(stream, 4);
    header.writeUInt8(type, 8);
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(stream, resolve));
    this.#socket.write(Buffer.concat([header, body]));
    return answer;
  }

  raw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  #take(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 10) {
      const length = this.#rest.readUInt32BE(0);
      if (this.#rest.length < 10 + length) return;
      const stream = this.#rest.readUInt32BE(4);
      const { status, payload } = Response.decode(this.#rest.subarray(10, 10 + length));
      this.#rest = this.#rest.subarray(10 + length);
      this.#waiting.get(stream)?.({ code: status?.code ?? 0, message: status?.message ?? "", payload });
      this.#waiting.delete(stream);
    }
  }
}
