import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import type { Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Request, Response } from "../../src/gen/ttrpc/request.js";
import { Reader } from "../../src/host/core/reader.js";
import { Writer } from "../../src/host/core/writer.js";

/**
 * The core's side of native/include/vigil.h over a real socket pair, with processes that exist only on paper: for tests of the
 * daemon as a program. What the core keeps (state, facts, outbox, unanswered requests) is kept here over daemons.
 */

const top = join(fileURLToPath(import.meta.url), "../../..");
const headerBytes = 24;

export interface FakeCoreOptions {
  /** boot.cjs beside a bundled daemon. */
  readonly boot: string;
  readonly stateDirectory: string;
  readonly ttrpcAddress?: string;
  readonly bootId?: string;
}

interface PendingRequest {
  readonly key: string;
  readonly connection: bigint;
  readonly data: Uint8Array;
  begun: boolean;
  parked: boolean;
  deliveries: number;
  answer?: (reply: Uint8Array) => void;
}

interface Process {
  readonly pid: number;
  running: boolean;
}

export interface Answer {
  readonly code: number;
  readonly message: string;
  readonly payload: Uint8Array;
}

export class FakeCore extends EventEmitter {
  readonly states = new Map<string, string>();
  readonly outbox: { readonly seq: bigint; readonly fact: bigint; readonly entry: Uint8Array }[] = [];
  /** Entries ever committed, DELIVERED or not. */
  readonly published: { readonly seq: bigint; readonly fact: bigint; readonly entry: Uint8Array }[] = [];
  readonly facts: { readonly seq: bigint; readonly payload: Uint8Array }[] = [];
  readonly processes = new Map<string, Process>();
  readonly commands: string[] = [];
  readonly #options: FakeCoreOptions;
  readonly #requests = new Map<string, PendingRequest>();
  readonly #kept = new Map<string, Uint8Array>();
  readonly #results = new Map<string, Uint8Array>();
  #daemon: ChildProcess | undefined;
  #socket: Socket | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #number = 0n;
  #epoch = 0;
  #seq = 0n;
  #fact = 0n;
  #stream = 1;
  #pid = 40_000;
  ready = false;
  shutdown = false;
  stderr = "";
  /** Called instead of answering a command of that number; true: handled. */
  intercept: ((type: number, key: string) => boolean) | undefined;

  constructor(options: FakeCoreOptions) {
    super();
    this.#options = options;
  }

  /** Starts a daemon and hands everything over. */
  async start(): Promise<void> {
    this.#epoch += 1;
    this.#number = 0n;
    this.#rest = Buffer.alloc(0);
    this.ready = false;
    const child = spawn(process.execPath, [this.#options.boot, "daemon"], {
      cwd: "/",
      stdio: ["ignore", "ignore", "pipe", "pipe", "pipe"],
      env: { PATH: process.env.PATH ?? "", HOME: "/", VIGIL_LIBDIR: join(top, "build/lib/vigil") },
    });
    this.#daemon = child;
    child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    const socket = child.stdio[3] as Socket;
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    // The daemon may be killed while something is on its way to it.
    socket.on("error", () => undefined);
    child.on("exit", (code) => this.emit("exit", code));
    this.#handOver();
    while (!this.ready) {
      const [what] = await Promise.race([once(this, "ready"), once(this, "exit").then(() => ["exit"])]);
      if (what === "exit") throw new Error(`the daemon ended: ${this.stderr}`);
    }
  }

  /** kill -9, as a crash is. */
  async crash(): Promise<void> {
    const child = this.#daemon;
    this.#daemon = undefined;
    if (!child) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Closes the stream, as the death of the core does; resolves with the daemon's exit code. */
  async hangUp(): Promise<number | null> {
    const child = this.#daemon;
    this.#daemon = undefined;
    if (!child) return null;
    const gone = once(child, "exit");
    this.#socket?.end();
    const [code] = (await gone) as [number | null];
    return code;
  }

  /** A ttrpc request; the answer may come from a later daemon. */
  call(
    method: string,
    payload: Uint8Array,
    options: { readonly service?: string; readonly timeoutNs?: bigint; readonly connection?: bigint } = {},
  ): Promise<Answer> {
    const { service = "containerd.task.v3.Task", timeoutNs = 0n, connection = 1n } = options;
    const data = Request.encode({ service, method, payload, timeoutNano: timeoutNs, metadata: [] }).finish();
    const key = `t:${this.#options.bootId ?? "boot"}:${connection}:${this.#stream}`;
    this.#stream += 2;
    return new Promise((resolve) => {
      const request: PendingRequest = {
        key,
        connection,
        data,
        begun: false,
        parked: false,
        deliveries: 0,
        answer: (reply) => {
          const { status, payload: answered } = Response.decode(reply);
          resolve({ code: status?.code ?? 0, message: status?.message ?? "", payload: answered });
        },
      };
      this.#requests.set(key, request);
      this.#deliver(request);
    });
  }

  close(connection: bigint): void {
    for (const request of [...this.#requests.values()]) {
      if (request.connection === connection && !request.begun) this.#requests.delete(request.key);
    }
    this.#send(9, new Writer().u64(connection));
  }

  terminate(): void {
    this.#send(12, new Writer().u32(15));
  }

  factCreated(container: string, pid: number): void {
    this.addFact((w) => w.u8(1).str(container).u32(pid).u64(this.#now()));
  }

  factStarted(container: string, exec: string, pid: number): void {
    this.addFact((w) => w.u8(2).str(container).str(exec).u32(pid).u64(this.#now()));
  }

  factOom(container: string, options: { readonly initPid: number; readonly lines?: readonly string[] }): void {
    const own = `/sys/fs/cgroup/vigil/test/${container}`;
    this.addFact((w) =>
      w
        .u8(3)
        .str(container)
        .u64(1n)
        .u64(1n)
        .u64(this.#now())
        .u64(1n)
        .list([`${own}/memory.events`, `${own}/memory.events.local`], (x, path) =>
          x.str(path).str("max 3\noom 0\noom_kill 0\n").str("max 40\noom 1\noom_kill 1\n"),
        )
        .list([[`${own}/memory.max`, "67108864\n"] as const], (x, [path, text]) => x.str(path).str(text))
        .strs(options.lines ?? [])
        .bool(true)
        .u32(options.initPid)
        .u32(0),
    );
  }

  factExited(
    container: string,
    exec: string,
    pid: number,
    status: number,
    options: { readonly started?: boolean } = {},
  ): void {
    const process = this.processes.get(`${container}/${exec}`);
    if (process) process.running = false;
    const signal = status > 128 ? status - 128 : 0;
    const started = options.started ?? true;
    this.addFact((w) =>
      w.u8(4).str(container).str(exec).u32(pid).u32(status).u32(signal).u64(this.#now()).u64(0n).bool(started),
    );
  }

  addFact(put: (w: Writer) => Writer): void {
    this.#fact += 1n;
    const payload = Uint8Array.from(put(new Writer().u64(this.#fact)).finish());
    this.facts.push({ seq: this.#fact, payload });
    this.#send(5, new Writer().raw(payload));
  }

  get unanswered(): string[] {
    return [...this.#requests.keys()];
  }

  #now(): bigint {
    return BigInt(Date.now()) * 1_000_000n;
  }

  #handOver(): void {
    const { stateDirectory, ttrpcAddress = "", bootId = "boot" } = this.#options;
    this.#send(
      1,
      new Writer()
        .u32(1)
        .str(bootId)
        .u32(this.#epoch)
        .str("test")
        .str("group")
        .str(ttrpcAddress)
        .str("")
        .str("")
        .str("/")
        .str(stateDirectory)
        .u64(1n)
        .u32(this.#epoch - 1)
        .u32(process.pid)
        .str("/run/none")
        .u32(0)
        .bool(true),
    );
    for (const [container, blob] of this.states) this.#send(2, new Writer().str(container).bytes(Buffer.from(blob)));
    for (const [key, reply] of this.#kept) this.#send(3, new Writer().str(key).bytes(reply));
    for (const { seq, fact, entry } of this.outbox) this.#send(4, new Writer().u64(seq).u64(fact).bytes(entry));
    for (const { payload } of this.facts) this.#send(5, new Writer().raw(payload));
    for (const request of this.#requests.values()) this.#deliver(request);
    this.#send(7, new Writer());
  }

  #deliver(request: PendingRequest): void {
    if (!this.#daemon) return;
    request.deliveries += 1;
    this.#send(
      6,
      new Writer()
        .str(request.key)
        .u64(request.connection)
        .u64(1_000_000n)
        .u32(request.deliveries)
        .bool(request.begun)
        .bytes(request.data),
    );
  }

  #send(type: number, writer: Writer): void {
    if (!this.#daemon) return;
    const payload = writer.finish();
    this.#number += 1n;
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(payload.length, 0);
    header.writeUInt16LE(type, 4);
    header.writeUInt16LE(1, 6);
    header.writeUInt32LE(this.#epoch, 8);
    header.writeBigUInt64LE(this.#number, 16);
    this.#socket?.write(Buffer.concat([header, payload]));
  }

  #receive(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= headerBytes) {
      const length = this.#rest.readUInt32LE(0);
      if (this.#rest.length < headerBytes + length) return;
      const type = this.#rest.readUInt16LE(4);
      const payload = this.#rest.subarray(headerBytes, headerBytes + length);
      this.#rest = this.#rest.subarray(headerBytes + length);
      if (this.#daemon) this.#command(type, new Reader(payload));
    }
  }

  #command(type: number, r: Reader): void {
    if (type === 64) {
      this.ready = true;
      this.emit("ready");
      return;
    }
    if (type === 65) {
      this.emit("receipt", r.u64());
      return;
    }
    if (type === 78) {
      const seq = r.u64();
      while (this.outbox[0] && this.outbox[0].seq <= seq) this.outbox.shift();
      this.emit("delivered", seq);
      return;
    }
    if (type === 79) {
      this.shutdown = true;
      this.emit("shutdown");
      return;
    }
    const key = r.str();
    if (type >= 69 && type <= 76) {
      this.commands.push(`${names[type]} ${key}`);
      this.emit("command", names[type], key);
      const kept = this.#results.get(key);
      if (kept) {
        this.#send(8, new Writer().raw(kept));
        return;
      }
      if (this.intercept?.(type, key)) return;
      this.#carryOut(type, key, r);
      return;
    }
    const request = this.#requests.get(key);
    switch (type) {
      case 66:
        if (request) request.begun = true;
        this.emit("begun", key);
        return;
      case 67:
        if (request) request.parked = true;
        this.emit("parked", key);
        return;
      case 68:
        this.#requests.set(key, { key, connection: 0n, data: r.bytes(), begun: true, parked: false, deliveries: 1 });
        return;
      case 77:
        this.#commit(key, r);
        return;
      case 80: {
        this.#requests.delete(key);
        request?.answer?.(Uint8Array.from(r.bytes()));
        return;
      }
      default:
        throw new Error(`unknown command ${type}`);
    }
  }

  /** Answers a command that was intercepted. */
  result(key: string, status: number, message = "", data: Uint8Array = new Uint8Array(0)): void {
    const payload = Uint8Array.from(new Writer().str(key).i32(status).u32(0).str(message).bytes(data).finish());
    this.#results.set(key, payload);
    this.#send(8, new Writer().raw(payload));
  }

  #carryOut(type: number, key: string, r: Reader): void {
    switch (type) {
      case 69: {
        const container = r.str();
        const exec = r.str();
        const pid = ++this.#pid;
        this.processes.set(`${container}/${exec}`, { pid, running: exec !== "" });
        if (exec === "") this.factCreated(container, pid);
        else this.factStarted(container, exec, pid);
        this.result(key, 0, "", new Writer().u32(pid).finish());
        return;
      }
      case 71: {
        const container = r.str();
        const process = this.processes.get(`${container}/`);
        if (!process) {
          this.result(key, -2, "no such container");
          return;
        }
        process.running = true;
        this.factStarted(container, "", process.pid);
        this.result(key, 0);
        return;
      }
      case 72: {
        const container = r.str();
        const exec = r.str();
        const signal = r.u32();
        const process = this.processes.get(`${container}/${exec}`);
        if (!process?.running) {
          this.result(key, -3);
          return;
        }
        this.result(key, 0);
        this.factExited(container, exec, process.pid, 128 + signal);
        return;
      }
      default:
        this.result(key, 0);
        return;
    }
  }

  #commit(key: string, r: Reader): void {
    const states = r.list((item) => ({ container: item.str(), present: item.bool(), blob: item.text() }));
    const outbox = r.list((item) => ({ fact: item.u64(), entry: Uint8Array.from(item.bytes()) }));
    const through = r.u64();
    const replied = r.bool();
    const reply = Uint8Array.from(r.bytes());
    const finished = r.bool();
    r.end();
    for (const { container, present, blob } of states) {
      if (present) this.states.set(container, blob);
      else this.states.delete(container);
    }
    const first = this.#seq + 1n;
    for (const { fact, entry } of outbox) {
      this.#seq += 1n;
      if (fact > 0n && this.published.some((one) => one.fact === fact)) continue;
      if (fact > 0n && !this.facts.some((one) => one.seq === fact))
        throw new Error(`event of a fact that is covered: ${fact}`);
      this.outbox.push({ seq: this.#seq, fact, entry });
      this.published.push({ seq: this.#seq, fact, entry });
    }
    while (this.facts[0] && this.facts[0].seq <= through) this.facts.shift();
    this.#send(11, new Writer().str(key).u64(first));
    const request = this.#requests.get(key);
    if (replied) {
      if (key.startsWith("g:")) this.#kept.set(key, reply);
      this.#requests.delete(key);
      request?.answer?.(reply);
    }
    if (finished)
      for (const step of [...this.#results.keys()]) if (step.startsWith(`${key}/`)) this.#results.delete(step);
    this.emit("commit", key);
  }
}

const names: Readonly<Record<number, string>> = {
  69: "birth",
  70: "script",
  71: "start",
  72: "signal",
  73: "resize",
  74: "close-stdin",
  75: "drain",
  76: "forget",
};
