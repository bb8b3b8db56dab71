import { VigilError } from "../base/errors.js";
import type { Exit } from "./exit-waiters.js";
import type { Announcement, ContainerRef, RuntimeHandle, TaskEvent } from "./ports.js";
import type { ExecProcess, TaskProcess } from "./process.js";
import type { Status } from "./state.js";

/** The init has exited and this is not announced yet: execs live, or what it left behind is being killed. */
export interface Leaving {
  readonly fact: bigint;
  readonly exit: Exit;
  /** Its other processes are being killed. */
  clearing: boolean;
}

export interface ContainerState {
  readonly id: string;
  readonly bundle: string;
  readonly handle: RuntimeHandle;
  readonly privatePids: boolean;
  readonly init: TaskProcess;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  readonly lastFact: bigint;
}

/** A container that was created: its processes and what is known of them. Changed by facts (apply.ts) and requests. */
export class Container {
  readonly id: string;
  readonly bundle: string;
  /** The runtime's; another one after a restore. */
  handle: RuntimeHandle;
  readonly privatePids: boolean;
  readonly init: TaskProcess;
  readonly execs = new Map<string, ExecProcess>();
  readonly createdAt: bigint;
  /** Nanoseconds since 1970; 0n: not yet. */
  startedAt = 0n;
  limitsChangedAt = 0n;
  oomKills = 0n;
  /** Facts up to this one are in this state: a replay of them is skipped. */
  lastFact: bigint;
  leaving: Leaving | undefined;
  /** A Delete is under way: nothing new may begin in it. */
  ending = false;

  constructor(state: ContainerState) {
    this.id = state.id;
    this.bundle = state.bundle;
    this.handle = state.handle;
    this.privatePids = state.privatePids;
    this.init = state.init;
    this.createdAt = state.createdAt;
    this.lastFact = state.lastFact;
  }

  get ref(): ContainerRef {
    return { id: this.id, bundle: this.bundle, handle: this.handle };
  }

  /** The init, or the exec of that id. */
  process(execId: string): TaskProcess {
    return execId === "" ? this.init : this.exec(execId);
  }

  exec(execId: string): ExecProcess {
    const exec = this.execs.get(execId);
    if (!exec) throw new VigilError("not_found", `process does not exist ${execId}`);
    return exec;
  }

  /** Its start will restore it: there is no process yet. */
  get isCheckpoint(): boolean {
    return this.init.status === "created" && this.init.pid === 0;
  }

  /** The status as State tells it: a paused container's execs are paused. */
  statusOf(process: TaskProcess): Status {
    const held = this.init.status === "paused" || this.init.status === "pausing";
    return held && process.status === "running" ? this.init.status : process.status;
  }

  announcement(event: TaskEvent, at: bigint, fact = 0n): Announcement {
    return { topic: topics[event.kind], containerId: this.id, event, at, fact };
  }
}

/** containerd's topics (core/runtime/events.go). */
const topics: Readonly<Record<TaskEvent["kind"], string>> = {
  create: "/tasks/create",
  start: "/tasks/start",
  "exec-added": "/tasks/exec-added",
  "exec-started": "/tasks/exec-started",
  exit: "/tasks/exit",
  delete: "/tasks/delete",
  paused: "/tasks/paused",
  resumed: "/tasks/resumed",
  checkpointed: "/tasks/checkpointed",
  oom: "/tasks/oom",
};
