// A unix socket over which a runtime hands out file descriptors: consoles and seccomp listeners. Node's sockets drop them in silence, so
// that this reads with recvmsg(2) itself.

import { once } from "node:events";
import { closeSync, createReadStream } from "node:fs";
import { createRequire } from "node:module";
import { createServer, type Server, type Socket } from "node:net";
import { constants } from "node:os";
import { eventually } from "../../support/command.js";
import type { Bed } from "./bed.js";

const koffi = createRequire(import.meta.url)("koffi");

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;

interface Libc {
  recvmsg(fd: number, message: object, flags: number): number;
  ioctl(fd: number, request: number, argument: Buffer): number;
  errno(): number;
}

let loaded: Libc | undefined;

function libc(): Libc {
  if (loaded !== undefined) return loaded;
  const library = koffi.load("libc.so.6");
  koffi.struct("conformance_iovec", { base: "void *", length: "size_t" });
  koffi.struct("conformance_msghdr", {
    name: "void *",
    namelen: "uint32_t",
    iov: "conformance_iovec *",
    iovlen: "size_t",
    control: "void *",
    controllen: "size_t",
    flags: "int",
  });
  loaded = {
    recvmsg: library.func("int64_t recvmsg(int fd, _Inout_ conformance_msghdr *message, int flags)"),
    ioctl: library.func("int ioctl(int fd, unsigned long request, void *argument)"),
    errno: () => koffi.errno(),
  };
  return loaded;
}

export interface Received {
  readonly data: string;
  readonly fds: readonly number[];
}

/** One message, or undefined when none is there yet. */
function receive(fd: number): Received | undefined {
  const data = Buffer.alloc(65536);
  const control = Buffer.alloc(256);
  const message = {
    name: null,
    namelen: 0,
    iov: [{ base: data, length: data.length }],
    iovlen: 1,
    control,
    controllen: control.length,
    flags: 0,
  };
  const length = Number(libc().recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  if (length < 0) {
    const errno = libc().errno();
    if (errno === constants.errno.EAGAIN) return undefined;
    throw new Error(`recvmsg: errno ${errno}`);
  }
  const fds: number[] = [];
  // cmsg(3): a header of 16 bytes, then the numbers.
  if (message.controllen >= 20 && control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS) {
    const end = Number(control.readBigUInt64LE(0));
    for (let at = 16; at + 4 <= end; at += 4) fds.push(control.readInt32LE(at));
  }
  return { data: data.toString("utf8", 0, length), fds };
}

export class FdSocket {
  readonly path: string;
  readonly #server: Server;
  readonly #connections: Socket[] = [];

  private constructor(path: string, server: Server) {
    this.path = path;
    this.#server = server;
    server.on("connection", (socket) => this.#connections.push(socket));
  }

  static async listen(t: Bed): Promise<FdSocket> {
    const path = `${t.folder}/s`;
    // Paused: otherwise Node reads, and what it reads is lost.
    const socket = new FdSocket(path, createServer({ pauseOnConnect: true }));
    socket.#server.listen(path);
    await once(socket.#server, "listening");
    t.afterwards(() => socket.#close());
    return socket;
  }

  get connections(): number {
    return this.#connections.length;
  }

  async received(): Promise<Received> {
    const connection = await eventually("a connection", () => this.#connections[0]);
    // The number of a socket has no public name in Node.
    const { fd } = (connection as unknown as { _handle: { fd: number } })._handle;
    return eventually("a message", () => receive(fd));
  }

  #close(): void {
    for (const connection of this.#connections) connection.destroy();
    this.#server.close();
  }
}

/** Everything that is printed on a terminal until the last process there has gone. */
export async function readTerminal(fd: number): Promise<string> {
  let text = "";
  try {
    for await (const chunk of createReadStream("", { fd, autoClose: true })) text += String(chunk);
  } catch (error) {
    // The other side has been closed (tty_ioctl(4) says nothing of it; the kernel's n_tty does so).
    if ((error as NodeJS.ErrnoException).code !== "EIO") throw error;
  }
  return text;
}

/** An ioctl(2) that fills or reads a structure. Returns what the call returned. */
export function ioctl(fd: number, request: number, argument: Buffer): number {
  return libc().ioctl(fd, request, argument);
}

export function closeAll(received: Received): void {
  for (const fd of received.fds) closeSync(fd);
}
