import type { Clock } from "../../src/base/clock.js";
import { VigilError } from "../../src/base/errors.js";
import { silentLog } from "../../src/base/log.js";
import type { Call } from "../../src/task/call.js";
import type { ExitedFact, Fact, OomFact } from "../../src/task/facts.js";
import type { Announcement, Commit, Json, Runtime, SandboxRuntime, SandboxSpec } from "../../src/task/ports.js";
import { Registry } from "../../src/task/registry.js";

/**
 * Everything behind the model's ports, in one simulated core: processes, facts, keyed results, commits. It outlives the model, so
 * that a test can let the daemon die at any point and begin anew from what was committed.
 */

type Message = { readonly run: (daemon: SimDaemon) => void };

interface SimProcess {
  readonly pid: number;
  state: "created" | "running" | "exited";
}

export interface SimRequest {
  readonly key: string;
  readonly name: string;
  readonly dispatch: (registry: Registry, call: Call<unknown>) => Promise<Uint8Array>;
  begun: boolean;
  /** How it was answered, as text. */
  answers: string[];
}

interface SimDaemon {
  readonly registry: Registry;
  readonly results: Map<string, { resolve(value: number): void; reject(error: Error): void }[]>;
  readonly commits: (() => void)[];
}

interface Result {
  readonly value: number;
  readonly error: VigilError | undefined;
}

const now = 1_000n;

export const simClock: Clock = { now: () => now, elapsed: () => 0n, after: () => () => undefined };

export class SimCore {
  readonly processes = new Map<string, Map<string, SimProcess>>();
  readonly published: Announcement[] = [];
  /** All facts there ever were. */
  readonly history: Fact[] = [];
  readonly facts: Fact[] = [];
  readonly states = new Map<string, Json>();
  readonly requests: SimRequest[] = [];
  readonly reports: { readonly fact: OomFact; readonly announced: boolean }[] = [];
  /** The next birth fails: killed for want of memory, or for another reason. */
  failNextBirth: "oom" | "error" | undefined;
  privatePids = true;
  /** Containers that do nothing at SIGTERM. */
  readonly deaf = new Set<string>();
  /** What the core was made a sandbox with. */
  readonly sandboxes: SandboxSpec[] = [];
  readonly #results = new Map<string, Result>();
  readonly #later: {
    readonly key: string;
    readonly carryOut: () => number;
    readonly told: ((result: Result) => void)[];
  }[] = [];
  readonly clock: Clock;
  #stream: Message[] = [];
  #daemon: SimDaemon | undefined;
  #pid = 100;
  #seq = 0n;

  constructor(clock: Clock = simClock) {
    this.clock = clock;
  }

  /** Begins a daemon and hands over. */
  start(): void {
    this.#stream = [];
    const daemon: SimDaemon = {
      registry: this.#registry(() => this.#daemon === daemon),
      results: new Map(),
      commits: [],
    };
    this.#daemon = daemon;
    for (const [id, state] of this.states) daemon.registry.restore(id, state);
    for (const fact of this.facts) daemon.registry.fact(fact);
    for (const request of this.requests) if (request.answers.length === 0) this.#dispatch(daemon, request);
    daemon.registry.synced();
  }

  crash(): void {
    this.#daemon = undefined;
    this.#stream = [];
  }

  get registry(): Registry {
    if (!this.#daemon) throw new Error("no daemon");
    return this.#daemon.registry;
  }

  get waiting(): number {
    return this.#stream.length;
  }

  request(name: string, dispatch: SimRequest["dispatch"]): SimRequest {
    const request: SimRequest = { key: `t:b:1:${this.requests.length}`, name, dispatch, begun: false, answers: [] };
    this.requests.push(request);
    this.#stream.push({ run: (daemon) => this.#dispatch(daemon, request) });
    return request;
  }

  /** Hands the daemon that many messages as one batch, and lets it do what follows. */
  async deliver(count: number): Promise<void> {
    const daemon = this.#daemon;
    if (!daemon) return;
    for (const message of this.#stream.splice(0, count)) message.run(daemon);
    daemon.registry.flush();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async settle(): Promise<void> {
    while (this.#stream.length > 0 || this.#later.length > 0) {
      this.progress();
      await this.deliver(this.#stream.length);
    }
  }

  exit(container: string, exec: string, status: number): boolean {
    const process = this.processes.get(container)?.get(exec);
    if (!process || process.state === "exited") return false;
    const started = process.state === "running";
    process.state = "exited";
    const signal = status > 128 ? status - 128 : 0;
    const exited: Omit<ExitedFact, "seq" | "at"> = {
      kind: "exited",
      container,
      exec,
      pid: process.pid,
      status,
      signal,
      maxRssBytes: 0n,
      started,
    };
    this.#fact(exited);
    // A pid namespace ends with its init.
    if (exec === "" && this.privatePids) {
      for (const [other, one] of this.processes.get(container) ?? []) {
        if (other !== "" && one.state === "running") this.exit(container, other, 137);
      }
    }
    return true;
  }

  oom(container: string): boolean {
    const init = this.processes.get(container)?.get("");
    if (!init || init.state === "exited") return false;
    this.#oom(container, init.pid);
    return true;
  }

  #oom(container: string, initPid: number): void {
    this.#fact({
      kind: "oom",
      container,
      kills: 1n,
      total: 1n,
      monotonic: 0n,
      held: [],
      snapshot: [],
      lines: [],
      last: false,
      initPid,
      execs: [],
    });
  }

  #fact(fact: OmitSeq<Fact>): void {
    this.#seq += 1n;
    const whole = { ...fact, seq: this.#seq, at: now + this.#seq } as Fact;
    this.history.push(whole);
    this.facts.push(whole);
    this.#stream.push({ run: (daemon) => daemon.registry.fact(whole) });
  }

  #dispatch(daemon: SimDaemon, request: SimRequest): void {
    const live = (): boolean => this.#daemon === daemon;
    const call: Call<unknown> = {
      key: request.key,
      begun: request.begun,
      begin: () => {
        if (live()) request.begun = true;
      },
      answer: (result) =>
        Buffer.from(`ok ${JSON.stringify(result, (_, value) => (typeof value === "bigint" ? `${value}` : value))}`),
      refuse: (error) => Buffer.from(`${error.code} ${error.message}`),
    };
    const failed = (error: unknown): void => {
      if (!live()) return;
      const { code, message } = VigilError.from(error);
      request.answers.push(`${code} ${message}`);
    };
    try {
      request.dispatch(daemon.registry, call).catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #registry(live: () => boolean): Registry {
    const runtime: Runtime = {
      create: async (key, spec) => {
        if (spec.checkpoint !== "") return { pid: 0, handle: { restore: true }, privatePids: this.privatePids };
        const pid = await this.#command(live, key, () => this.#birth(spec.id, "", true));
        return { pid, handle: {}, privatePids: this.privatePids };
      },
      start: async (key, { id, handle }) => {
        await this.#command(live, key, () => {
          if (handle.restore) this.#birth(id, "", true);
          const init = this.processes.get(id)?.get("");
          if (init?.state !== "created") throw new VigilError("unknown", "the init is gone");
          init.state = "running";
          this.#fact({ kind: "started", container: id, exec: "", pid: init.pid });
          return 0;
        });
        return handle.restore ? {} : undefined;
      },
      exec: (key, { id }, { execId }) => this.#command(live, key, () => this.#exec(id, execId), "later"),
      signal: async (key, { id }, execId, signal) => {
        await this.#command(live, key, () => {
          if (this.deaf.has(id) && signal !== 9) return 0;
          if (!this.exit(id, execId, 128 + signal)) throw new VigilError("not_found", "process already finished");
          return 0;
        });
      },
      signalAll: async (key, { id }, signal) => {
        await this.#command(live, key, () => this.#killAll(id, signal));
      },
      pause: async (key) => void (await this.#command(live, key, () => 0)),
      resume: async (key) => void (await this.#command(live, key, () => 0)),
      update: async (key) => void (await this.#command(live, key, () => 0)),
      checkpoint: async (key, { id }, { exit }) => {
        await this.#command(live, key, () => (exit ? this.#killAll(id, 9) : 0));
      },
      pids: async () => [],
      stats: async () => ({ typeUrl: "", value: new Uint8Array(0) }),
      remove: async (key, { id }) => {
        await this.#command(live, key, () => {
          this.#killAll(id, 9);
          this.processes.delete(id);
          return 0;
        });
      },
      resize: async (key) => void (await this.#command(live, key, () => 0)),
      closeStdin: async (key) => void (await this.#command(live, key, () => 0)),
      drain: async (key) => void (await this.#command(live, key, () => 0)),
      forgetExec: async (key, { id }, execId) => {
        await this.#command(live, key, () => {
          this.processes.get(id)?.delete(execId);
          return 0;
        });
      },
    };
    const sandboxRuntime: SandboxRuntime = {
      enter: async (key, spec) => {
        await this.#command(live, key, () => {
          this.sandboxes.push(spec);
          return 0;
        });
      },
      stats: async () => ({ typeUrl: "", value: new Uint8Array(0) }),
    };
    return new Registry({
      runtime,
      sandboxRuntime,
      journal: { commit: (commit) => this.#commit(live, commit) },
      reports: {
        record: (fact, { announced }) => {
          if (live()) this.reports.push({ fact, announced });
        },
        attribute: () => undefined,
      },
      clock: this.clock,
      log: silentLog,
      bootId: "b",
    });
  }

  #killAll(id: string, signal: number): number {
    for (const exec of [...(this.processes.get(id)?.keys() ?? [])].reverse()) this.exit(id, exec, 128 + signal);
    return 0;
  }

  #birth(container: string, exec: string, init: boolean): number {
    const pid = ++this.#pid;
    const fails = this.failNextBirth;
    this.failNextBirth = undefined;
    if (init) this.processes.set(container, new Map());
    if (fails) {
      if (fails === "oom") this.#oom(container, pid);
      const death = { status: 137, signal: 9, maxRssBytes: 0n, started: false };
      this.#fact({ kind: "exited", container, exec, pid, ...death });
      if (init) this.processes.delete(container);
      throw new VigilError("unknown", "the child died");
    }
    this.processes.get(container)?.set(exec, { pid, state: init ? "created" : "running" });
    if (init) this.#fact({ kind: "created", container, pid });
    else this.#fact({ kind: "started", container, exec, pid });
    return pid;
  }

  /** Once a key; the result comes with the stream, behind the facts that it made. */
  #command(live: () => boolean, key: string, carryOut: () => number, when?: "later"): Promise<number> {
    return new Promise((resolve, reject) => {
      if (!live()) return;
      const told = ({ value, error }: Result): void => {
        if (live()) this.#stream.push({ run: () => (error ? reject(error) : resolve(value)) });
      };
      const kept = this.#results.get(key);
      const running = this.#later.find((one) => one.key === key);
      if (kept) told(kept);
      else if (running) running.told.push(told);
      else if (when) this.#later.push({ key, carryOut, told: [told] });
      else told(this.#do(key, carryOut));
    });
  }

  #do(key: string, carryOut: () => number): Result {
    let result: Result;
    try {
      result = { value: carryOut(), error: undefined };
    } catch (error) {
      result = { value: 0, error: VigilError.from(error) };
    }
    this.#results.set(key, result);
    return result;
  }

  /** What takes its time in a core is done: births of execs. */
  progress(): void {
    for (const { key, carryOut, told } of this.#later.splice(0)) {
      const result = this.#do(key, carryOut);
      for (const tell of told) tell(result);
    }
  }

  /** One that was under way when the init died may get as far as execve, and is killed at once. */
  #exec(id: string, execId: string): number {
    const init = this.processes.get(id)?.get("");
    if (!init) throw new VigilError("unknown", "no such container");
    if (init.state !== "exited") return this.#birth(id, execId, false);
    if (this.#pid % 2 === 0) throw new VigilError("unknown", "the init is gone");
    const pid = this.#birth(id, execId, false);
    this.exit(id, execId, 137);
    return pid;
  }

  #commit(live: () => boolean, commit: Commit): Promise<void> {
    return new Promise((resolve) => {
      if (!live()) return;
      for (const [id, state] of commit.states) {
        if (state === null) this.states.delete(id);
        else this.states.set(id, JSON.parse(JSON.stringify(state)) as Json);
      }
      for (const announcement of commit.announcements) {
        if (announcement.fact > 0n && !this.facts.some(({ seq }) => seq === announcement.fact)) {
          throw new Error(`the event of fact ${announcement.fact} comes after its coverage`);
        }
        this.published.push(announcement);
      }
      while (this.facts[0] && this.facts[0].seq <= commit.factsThrough) this.facts.shift();
      if (commit.reply) {
        const text = Buffer.from(commit.reply).toString();
        for (const request of this.requests) if (request.key === commit.key) request.answers.push(text);
      }
      if (commit.finished) {
        for (const key of [...this.#results.keys()]) if (key.startsWith(`${commit.key}/`)) this.#results.delete(key);
      }
      this.#stream.push({ run: () => resolve() });
    });
  }
}

type OmitSeq<T> = T extends unknown ? Omit<T, "seq" | "at"> : never;
