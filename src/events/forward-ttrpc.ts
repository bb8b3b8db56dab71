import { connect, type Socket } from "node:net";
import type { Clock } from "../base/clock.js";
import { errorCodeOf, VigilError } from "../base/errors.js";
import { Request, Response } from "../gen/ttrpc/request.js";
import type { Forwarder } from "./forwarder.js";

const headerBytes = 10;
const frameMax = 4 << 20;
const requestType = 1;
const responseType = 2;
/** containerd's own publisher gives a Forward this long (pkg/shim/publisher.go). */
const answerMs = 5_000;

interface Call {
  readonly stream: number;
  resolve(): void;
  reject(error: VigilError): void;
}

/** One connection to containerd's ttrpc socket, made when it is needed; one Forward at a time. */
export function forwardOverTtrpc(address: string, clock: Clock): Forwarder {
  const path = address.replace(/^unix:\/\//, "");
  let socket: Socket | undefined;
  let stream = -1;
  let call: Call | undefined;
  let rest: Buffer = Buffer.alloc(0);

  const drop = (error: VigilError): void => {
    socket?.destroy();
    socket = undefined;
    const failed = call;
    call = undefined;
    failed?.reject(error);
  };

  const answered = (data: Uint8Array): void => {
    const { status } = Response.decode(data);
    const done = call;
    call = undefined;
    if (!status || status.code === 0) done?.resolve();
    else done?.reject(new VigilError(errorCodeOf(status.code), status.message));
  };

  const received = (chunk: Buffer): void => {
    rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32BE(0);
      if (length > frameMax) {
        drop(new VigilError("internal", `containerd sent a frame of ${length} bytes`));
        return;
      }
      if (rest.length < headerBytes + length) return;
      const mine = rest.readUInt32BE(4) === call?.stream && rest.readUInt8(8) === responseType;
      const data = rest.subarray(headerBytes, headerBytes + length);
      rest = rest.subarray(headerBytes + length);
      if (mine) answered(data);
    }
  };

  const connected = (): Socket => {
    if (socket) return socket;
    const made = connect(path);
    socket = made;
    stream = -1;
    rest = Buffer.alloc(0);
    const ended = (cause?: Error): void => {
      if (socket === made) drop(new VigilError("unavailable", `the connection to ${path} ended`, { cause }));
    };
    made.on("data", (chunk: Buffer) => {
      try {
        received(chunk);
      } catch (error) {
        drop(new VigilError("internal", "malformed answer from containerd", { cause: error }));
      }
    });
    made.on("error", ended);
    made.on("close", () => ended());
    return made;
  };

  return {
    forward(entry) {
      const to = connected();
      stream += 2;
      const service = "containerd.services.events.ttrpc.v1.Events";
      const data = Request.encode({
        service,
        method: "Forward",
        payload: entry,
        timeoutNano: 0n,
        metadata: [],
      }).finish();
      const header = Buffer.alloc(headerBytes);
      header.writeUInt32BE(data.length, 0);
      header.writeUInt32BE(stream, 4);
      header.writeUInt8(requestType, 8);
      const { promise, resolve, reject } = withResolvers();
      call = { stream, resolve, reject };
      const cancel = clock.after(answerMs, () =>
        drop(new VigilError("unavailable", `${path} did not answer in ${answerMs} ms`)),
      );
      to.write(Buffer.concat([header, data]));
      return promise.finally(cancel);
    },
    close() {
      drop(new VigilError("cancelled", "closed"));
    },
  };
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: VigilError) => void } {
  let resolve: () => void = () => undefined;
  let reject: (error: VigilError) => void = () => undefined;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
