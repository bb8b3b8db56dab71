// `ctr events` as records.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { seconds } from "./bed.js";

export interface EventRecord {
  readonly timestamp: string;
  readonly namespace: string;
  readonly topic: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** CLOCK_MONOTONIC when the line arrived here. */
  readonly arrivedNs: bigint;
}

const line = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? [+-]\d{4} \S+) (\S+) (\S+) (\{.*\})$/;

export function parseEvent(text: string): EventRecord | undefined {
  const match = line.exec(text);
  if (match === null) return undefined;
  const [, timestamp = "", namespace = "", topic = "", json = ""] = match;
  const body = JSON.parse(json) as Record<string, unknown>;
  return { timestamp, namespace, topic, body, arrivedNs: process.hrtime.bigint() };
}

/** The container an event is about, whatever the message calls it. */
export function containerOf(event: EventRecord): string | undefined {
  const id = event.body.container_id ?? (event.topic.startsWith("/containers/") ? event.body.id : undefined);
  return typeof id === "string" ? id : undefined;
}

/** An event without its pids, times and paths: `/tasks/exit init 137`, `/tasks/exec-added e1`. */
export function gist(event: EventRecord, containerId: string): string {
  const id = event.body.exec_id ?? event.body.id;
  const whose = id === undefined || id === "" ? [] : [id === containerId ? "init" : String(id)];
  // ctr leaves zero values out of its JSON.
  const ends = event.topic === "/tasks/exit" || event.topic === "/tasks/delete";
  const status = ends ? [String(event.body.exit_status ?? 0)] : [];
  return [event.topic, ...whose, ...status].join(" ");
}

export class EventLog {
  readonly records: EventRecord[] = [];
  /** Lines that are no event: a broken message shows here. */
  readonly odd: string[] = [];
  readonly #waiters = new Set<() => void>();
  #child: ChildProcess | undefined;

  open(argv: readonly string[], env: NodeJS.ProcessEnv): void {
    const [file = "", ...args] = argv;
    const child = spawn(file, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (text) => this.#take(text));
    createInterface({ input: child.stderr }).on("line", (text) => this.odd.push(text));
  }

  #take(text: string): void {
    const event = parseEvent(text);
    if (event === undefined) {
      this.odd.push(text);
      return;
    }
    this.records.push(event);
    for (const wake of [...this.#waiters]) wake();
  }

  ofContainer(id: string): EventRecord[] {
    return this.records.filter((event) => containerOf(event) === id);
  }

  /** Resolves with the first record, past or coming, that fits. */
  async until(
    what: string,
    fits: (event: EventRecord) => boolean,
    limitMs: number = seconds(20),
  ): Promise<EventRecord> {
    const past = this.records.find(fits);
    if (past !== undefined) return past;
    let from = this.records.length;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(look);
        reject(new Error(`no event: ${what} within ${limitMs} ms`));
      }, limitMs);
      const look = () => {
        const found = this.records.slice(from).find(fits);
        from = this.records.length;
        if (found === undefined) return;
        clearTimeout(timer);
        this.#waiters.delete(look);
        resolve(found);
      };
      this.#waiters.add(look);
    });
  }

  async close(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  }
}
