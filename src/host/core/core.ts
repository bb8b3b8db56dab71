import { VigilError } from "../../base/errors.js";
import type { Fact } from "../../task/facts.js";
import type { Birth, OciBirth, Ops, Restore } from "./birth.js";
import type { Channel } from "./channel.js";
import { CoreError, type CoreSandbox, type OciCommands, type SandboxCommands } from "./commands.js";
import { encodeBirth, encodeOciBirth, encodeRestore } from "./encode-birth.js";
import {
  abiVersion,
  type CoreRecord,
  decodeRecord,
  type Hello,
  type RequestRecord,
  type ResultRecord,
  recordMax,
} from "./records.js";
import { Writer } from "./writer.js";

/** enum vg_command */
const commands = {
  ready: 64,
  receipt: 65,
  begin: 66,
  park: 67,
  hold: 68,
  birth: 69,
  script: 70,
  start: 71,
  signal: 72,
  resize: 73,
  closeStdin: 74,
  drain: 75,
  forget: 76,
  commit: 77,
  delivered: 78,
  shutdown: 79,
  reply: 80,
  ociBirth: 84,
  ociStart: 85,
  watch: 86,
  sandbox: 100,
  ociRestore: 110,
  restore: 111,
} as const;

/** What the core tells: facts and requests in the order in which they happened. */
export interface CoreEvents {
  hello(hello: Hello): void;
  state(container: string, blob: Uint8Array): void;
  kept(key: string, reply: Uint8Array): void;
  outbox(seq: bigint, fact: bigint, entry: Uint8Array): void;
  fact(fact: Fact): void;
  request(request: RequestRecord): void;
  synced(): void;
  closed(connection: bigint): void;
  connection(tag: bigint): void;
  terminate(signal: number): void;
  /** What one read of the socket brought has been handed out. */
  batch(): void;
}

export interface CoreCommit {
  readonly key: string;
  /** Null: the container is forgotten. */
  readonly states: readonly { readonly container: string; readonly blob: Uint8Array | null }[];
  readonly outbox: readonly { readonly fact: bigint; readonly entry: Uint8Array }[];
  readonly factsThrough: bigint;
  readonly reply?: Uint8Array;
  readonly finished: boolean;
}

const nothing = new Uint8Array(0);

interface Pending {
  resolve(result: ResultRecord): void;
  reject(error: Error): void;
}

/** The daemon's end of the contract: commands down, with their results as promises; everything else as CoreEvents. */
export class Core implements OciCommands, SandboxCommands {
  readonly #channel: Channel;
  readonly #events: CoreEvents;
  readonly #results = new Map<string, Pending[]>();
  /** COMMITTED answers come in the order of the commits. */
  readonly #commits: { readonly key: string; resolve(firstSeq: bigint): void; reject(error: Error): void }[] = [];
  #epoch = 0;

  constructor(channel: Channel, events: CoreEvents) {
    this.#channel = channel;
    this.#events = events;
  }

  /** One record of the channel. Throws on a broken protocol: the caller ends the daemon. */
  take(type: number, payload: Uint8Array): void {
    this.#hand(decodeRecord(type, payload));
  }

  /** The end of a batch: everything up to `number` has been handed on. */
  settle(number: bigint): void {
    this.#events.batch();
    this.#send(commands.receipt, new Writer().u64(number));
  }

  birth(key: string, birth: Birth): Promise<number> {
    const payload = new Writer().str(key).raw(encodeBirth(birth));
    return this.#command(commands.birth, key, payload).then(pidOf);
  }

  async ociBirth(key: string, birth: Birth, oci: OciBirth, how: "create" | "restore") {
    const payload = new Writer().str(key).raw(encodeBirth(birth)).raw(encodeOciBirth(oci));
    const result = await this.#command(how === "create" ? commands.ociBirth : commands.ociRestore, key, payload);
    return { pid: pidOf(result), cgroups: result.message };
  }

  restore(key: string, birth: Birth, restore: Restore): Promise<number> {
    const payload = new Writer().str(key).raw(encodeBirth(birth)).raw(encodeRestore(restore));
    return this.#command(commands.restore, key, payload).then(pidOf);
  }

  async ociStart(key: string, container: string, ops: Ops): Promise<void> {
    await this.#command(commands.ociStart, key, new Writer().str(key).str(container).bytes(ops));
  }

  async watch(key: string, container: string, watch: Birth["watch"], teardown: string): Promise<void> {
    const payload = new Writer().str(key).str(container).u8(watch.version).str(watch.cgroup);
    await this.#command(commands.watch, key, payload.strs(watch.held).strs(watch.snapshot).str(teardown));
  }

  async script(key: string, ops: Ops, options: { readonly undo: boolean }): Promise<void> {
    await this.#command(commands.script, key, new Writer().str(key).bytes(ops).bool(options.undo));
  }

  async start(key: string, container: string): Promise<void> {
    await this.#command(commands.start, key, new Writer().str(key).str(container));
  }

  async signal(key: string, container: string, exec: string, signal: number): Promise<void> {
    await this.#command(commands.signal, key, new Writer().str(key).str(container).str(exec).u32(signal));
  }

  async resize(key: string, container: string, exec: string, columns: number, rows: number): Promise<void> {
    const payload = new Writer().str(key).str(container).str(exec).u16(columns).u16(rows);
    await this.#command(commands.resize, key, payload);
  }

  async closeStdin(key: string, container: string, exec: string): Promise<void> {
    await this.#command(commands.closeStdin, key, new Writer().str(key).str(container).str(exec));
  }

  async drain(key: string, container: string, exec: string, timeoutMs: number): Promise<void> {
    await this.#command(commands.drain, key, new Writer().str(key).str(container).str(exec).u32(timeoutMs));
  }

  async forget(key: string, container: string, exec: string): Promise<void> {
    await this.#command(commands.forget, key, new Writer().str(key).str(container).str(exec));
  }

  async sandbox(key: string, { id, network, ownIpc, ownUts, hostname }: CoreSandbox): Promise<void> {
    const payload = new Writer().str(key).str(id).str(network).bool(ownIpc).bool(ownUts).str(hostname);
    await this.#command(commands.sandbox, key, payload);
  }

  ready(): void {
    this.#send(commands.ready, new Writer().u32(abiVersion));
  }

  begin(key: string): void {
    this.#send(commands.begin, new Writer().str(key));
  }

  park(key: string): void {
    this.#send(commands.park, new Writer().str(key));
  }

  hold(key: string, data: Uint8Array): void {
    this.#send(commands.hold, new Writer().str(key).bytes(data));
  }

  /** Resolves with the number of the first outbox entry, once it is all on disk. */
  commit(commit: CoreCommit): Promise<bigint> {
    const payload = new Writer()
      .str(commit.key)
      .list(commit.states, (w, s) =>
        w
          .str(s.container)
          .bool(s.blob !== null)
          .bytes(s.blob ?? nothing),
      )
      .list(commit.outbox, (w, entry) => w.u64(entry.fact).bytes(entry.entry))
      .u64(commit.factsThrough)
      .bool(commit.reply !== undefined)
      .bytes(commit.reply ?? nothing)
      .bool(commit.finished)
      .finish();
    if (payload.length > recordMax) {
      return Promise.reject(new VigilError("resource_exhausted", `a state change of ${payload.length} bytes`));
    }
    return new Promise((resolve, reject) => {
      this.#commits.push({ key: commit.key, resolve, reject });
      this.#channel.send(commands.commit, this.#epoch, payload);
    });
  }

  delivered(seq: bigint): void {
    this.#send(commands.delivered, new Writer().u64(seq));
  }

  shutdown(): void {
    this.#send(commands.shutdown, new Writer());
  }

  reply(key: string, reply: Uint8Array): void {
    this.#send(commands.reply, new Writer().str(key).bytes(reply));
  }

  #send(command: number, payload: Writer): void {
    this.#channel.send(command, this.#epoch, payload.finish());
  }

  #command(command: number, key: string, payload: Writer): Promise<ResultRecord> {
    const bytes = payload.finish();
    if (bytes.length > recordMax) {
      return Promise.reject(new VigilError("resource_exhausted", `a command of ${bytes.length} bytes`));
    }
    return new Promise((resolve, reject) => {
      const pending = this.#results.get(key);
      if (pending) pending.push({ resolve, reject });
      else this.#results.set(key, [{ resolve, reject }]);
      this.#channel.send(command, this.#epoch, bytes);
    });
  }

  #hand(record: CoreRecord): void {
    switch (record.kind) {
      case "hello":
        if (record.abi !== abiVersion)
          throw new VigilError("internal", `core of ABI ${record.abi}, daemon of ${abiVersion}`);
        this.#epoch = record.epoch;
        this.#events.hello(record);
        break;
      case "state":
        this.#events.state(record.container, record.blob);
        break;
      case "kept":
        this.#events.kept(record.key, record.reply);
        break;
      case "outbox":
        this.#events.outbox(record.seq, record.fact, record.entry);
        break;
      case "fact":
        this.#events.fact(record.fact);
        break;
      case "request":
        this.#events.request(record);
        break;
      case "synced":
        this.#events.synced();
        break;
      case "result":
        this.#settleResult(record);
        break;
      case "closed":
        this.#events.closed(record.connection);
        break;
      case "connection":
        this.#events.connection(record.tag);
        break;
      case "committed":
        this.#settleCommit(record.key, record.firstSeq);
        break;
      case "terminate":
        this.#events.terminate(record.signal);
        break;
    }
  }

  #settleResult(record: ResultRecord): void {
    const pending = this.#results.get(record.key);
    // A step is named KEY/step; a commit by its KEY alone, and it has a result only when it is refused.
    if (!pending && this.#commits[0]?.key === record.key) {
      this.#commits.shift()?.reject(refusedCommit(-record.status, record.message));
    }
    // Nobody waits: a second answer to a command that was given twice with one key. It says the same.
    if (!pending) return;
    this.#results.delete(record.key);
    for (const { resolve, reject } of pending) {
      if (record.status === 0) resolve(record);
      else reject(new CoreError(-record.status, record.op, record.message));
    }
  }

  #settleCommit(key: string, firstSeq: bigint): void {
    const commit = this.#commits.shift();
    if (commit?.key !== key)
      throw new VigilError("internal", `the core answered commit ${key}, not ${commit?.key ?? "any"}`);
    commit.resolve(firstSeq);
  }
}

const pidOf = ({ data }: ResultRecord): number => Buffer.from(data).readUInt32LE(0);

/** ENOSPC, EFBIG, ENOBUFS: the journal or the outbox has no room. Nothing of the commit was applied. */
const withoutRoom: ReadonlySet<number> = new Set([28, 27, 105]);

function refusedCommit(errno: number, message: string): VigilError {
  const code = withoutRoom.has(errno) ? "resource_exhausted" : "internal";
  return new VigilError(code, `the change cannot be written down: ${message}`, {
    cause: new CoreError(errno, 0, message),
  });
}
