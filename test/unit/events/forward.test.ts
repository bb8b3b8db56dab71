import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { forwardOverGrpc } from "../../../src/events/forward-grpc.js";
import { forwardOverTtrpc } from "../../../src/events/forward-ttrpc.js";
import type { Forwarder } from "../../../src/events/forwarder.js";
import { Request, Response } from "../../../src/gen/ttrpc/request.js";
import { gate } from "../../support/gate.js";
import { ManualClock } from "../../support/manual-clock.js";

let directory: string;
let path: string;
let server: Server | undefined;
let forwarder: Forwarder | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "vigil-forward-"));
  path = join(directory, "sock");
});

afterEach(() => {
  forwarder?.close();
  server?.close();
  server = undefined;
  rmSync(directory, { recursive: true });
});

interface Received {
  readonly stream: number;
  readonly request: Request;
  answer(code: number, message?: string): void;
  readonly socket: Socket;
}

/** A ttrpc server, frame by frame as PROTOCOL.md has them. */
async function listen(received: (request: Received) => void): Promise<void> {
  const made = createServer((socket) => {
    let rest = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 10 && rest.length >= 10 + rest.readUInt32BE(0)) {
        const end = 10 + rest.readUInt32BE(0);
        const stream = rest.readUInt32BE(4);
        const request = Request.decode(rest.subarray(10, end));
        rest = rest.subarray(end);
        const answer = (code: number, message = ""): void => {
          const status = code === 0 ? undefined : { code, message, details: [] };
          const data = Response.encode({ status, payload: new Uint8Array(0) }).finish();
          const header = Buffer.alloc(10);
          header.writeUInt32BE(data.length, 0);
          header.writeUInt32BE(stream, 4);
          header.writeUInt8(2, 8);
          // In two pieces, as a network may.
          socket.write(header.subarray(0, 4));
          socket.write(Buffer.concat([header.subarray(4), data]));
        };
        received({ stream, request, answer, socket });
      }
    });
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(path, resolve));
}

describe("Forward over ttrpc", () => {
  test("asks as containerd's own publisher does, with rising streams on one connection", async () => {
    const seen: Received[] = [];
    await listen((one) => {
      seen.push(one);
      one.answer(0);
    });
    forwarder = forwardOverTtrpc(`unix://${path}`, new ManualClock());
    await forwarder.forward(Buffer.from("one"));
    await forwarder.forward(Buffer.from("two"));
    expect(seen.map(({ stream }) => stream)).toEqual([1, 3]);
    expect(seen[0]?.request).toMatchObject({
      service: "containerd.services.events.ttrpc.v1.Events",
      method: "Forward",
    });
    expect(seen.map(({ request }) => Buffer.from(request.payload).toString())).toEqual(["one", "two"]);
    expect(seen[0]?.socket).toBe(seen[1]?.socket);
  });

  test("a refusal has containerd's code", async () => {
    await listen(({ answer }) => answer(3, "envelope topic: must start with '/'"));
    forwarder = forwardOverTtrpc(path, new ManualClock());
    await expect(forwarder.forward(Buffer.from("x"))).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("nobody there, gone in between, silent: unavailable, and the next attempt begins anew", async () => {
    const clock = new ManualClock();
    forwarder = forwardOverTtrpc(path, clock);
    await expect(forwarder.forward(Buffer.from("x"))).rejects.toMatchObject({ code: "unavailable" });
    let mode = "hang up";
    const { opened: silent, open: arrived } = gate();
    await listen(({ answer, socket }) => {
      if (mode === "hang up") socket.destroy();
      else if (mode === "silent") arrived();
      else answer(0);
    });
    await expect(forwarder.forward(Buffer.from("x"))).rejects.toMatchObject({ code: "unavailable" });
    mode = "silent";
    const waiting = forwarder.forward(Buffer.from("x"));
    const failed = expect(waiting).rejects.toMatchObject({ code: "unavailable" });
    await silent;
    await clock.advance(5000);
    await failed;
    mode = "answer";
    await forwarder.forward(Buffer.from("x"));
  });

  test("an answer that is none is an error of its own", async () => {
    await listen(({ socket }) => socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 2, 0])));
    forwarder = forwardOverTtrpc(path, new ManualClock());
    await expect(forwarder.forward(Buffer.from("x"))).rejects.toMatchObject({ code: "internal" });
  });
});

describe("Forward over gRPC", () => {
  test("reaches containerd's events service; a refusal has its code", async () => {
    const grpc = await import("@grpc/grpc-js");
    const made = new grpc.Server();
    const taken: string[] = [];
    const bytes = { requestSerialize: Buffer.from, responseSerialize: Buffer.from } as never as object;
    made.addService(
      {
        Forward: {
          path: "/containerd.services.events.v1.Events/Forward",
          requestStream: false,
          responseStream: false,
          requestDeserialize: (buffer: Buffer) => buffer,
          responseDeserialize: (buffer: Buffer) => buffer,
          ...bytes,
        } as never,
      },
      {
        Forward: (call: { request: Buffer }, done: (error: object | null, value?: Buffer) => void) => {
          const text = call.request.toString();
          if (text === "bad") return done({ code: 3, details: "no" });
          taken.push(text);
          done(null, Buffer.alloc(0));
        },
      },
    );
    await new Promise<void>((resolve, reject) =>
      made.bindAsync(`unix://${path}`, grpc.ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      ),
    );
    try {
      forwarder = forwardOverGrpc(path);
      await forwarder.forward(Buffer.from("one"));
      await expect(forwarder.forward(Buffer.from("bad"))).rejects.toMatchObject({
        code: "invalid_argument",
        message: "no",
      });
      expect(taken).toEqual(["one"]);
    } finally {
      made.forceShutdown();
    }
  });
});
