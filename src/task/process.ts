import { VigilError } from "../base/errors.js";
import { Mailbox } from "../base/mailbox.js";
import { type Exit, type ExitWaiter, ExitWaiters } from "./exit-waiters.js";
import type { StdioSpec } from "./ports.js";
import { next, type Status, type Step } from "./state.js";

/** Requests that wait for one process; each carries a client that can be told to come again. */
const mailboxCapacity = 1024;

/** One process of a container, the init or an exec: its status, its exit, and who waits for that. */
export class TaskProcess {
  /** Empty: the init. */
  readonly execId: string;
  readonly stdio: StdioSpec;
  /** Requests about this process, one after the other. */
  readonly mailbox = new Mailbox({ capacity: mailboxCapacity });
  status: Status;
  /** Kept after the exit; 0 before an exec was started. */
  pid: number;
  /** Announced: Wait and State may tell it. */
  exit: Exit | undefined;
  /** A request sent it SIGKILL. Not saved: it only keeps an OOM report from guessing. */
  killed = false;
  readonly #waiters = new ExitWaiters();

  constructor(options: {
    readonly execId: string;
    readonly stdio: StdioSpec;
    readonly status?: Status;
    readonly pid?: number;
    readonly exit?: Exit | undefined;
  }) {
    this.execId = options.execId;
    this.stdio = options.stdio;
    this.status = options.status ?? "created";
    this.pid = options.pid ?? 0;
    this.exit = options.exit;
  }

  /** Takes a step of the table, or says that there is none. */
  step(step: Step): void {
    const status = next(this.status, step);
    if (status === undefined) throw new VigilError("internal", `no step ${step} from ${this.status}`);
    this.status = status;
  }

  /** Tells the exit now or when it is known; the returned function ends the wait. */
  wait(waiter: ExitWaiter): () => void {
    if (this.exit) {
      waiter.exited(this.exit);
      return () => undefined;
    }
    return this.#waiters.add(waiter);
  }

  releaseExited(exit: Exit): void {
    this.#waiters.exited(exit);
  }

  releaseGone(error: VigilError): void {
    this.#waiters.gone(error);
  }
}

/** A process that Exec registered. */
export class ExecProcess extends TaskProcess {
  /** The OCI process object; dropped once the start was answered, it can be large. */
  spec: string;
  /** A start is under way: the init's exit is not announced before it has ended. */
  starting = false;
  /** Its start failed: it stays `created`, and waiting for it ends. */
  failed: boolean;

  constructor(
    options: ConstructorParameters<typeof TaskProcess>[0] & { readonly spec: string; readonly failed?: boolean },
  ) {
    super(options);
    this.spec = options.spec;
    this.failed = options.failed ?? false;
  }
}
