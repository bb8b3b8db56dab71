import { VigilError } from "../base/errors.js";
import { type Exit, type ExitWaiter, ExitWaiters } from "./exit-waiters.js";
import type { Json, SandboxSpec } from "./ports.js";
import { nextSandboxStatus, type SandboxStatus, type SandboxStep } from "./sandbox-state.js";

/** A pod that was asked for as such: the shim is all there is of it, and its containers join the core's namespaces. */
export class Sandbox {
  readonly spec: SandboxSpec;
  /** Nanoseconds since 1970. */
  readonly createdAt: bigint;
  status: SandboxStatus;
  exit: Exit | undefined;
  readonly #waiters = new ExitWaiters();

  constructor(state: {
    readonly spec: SandboxSpec;
    readonly createdAt: bigint;
    readonly status?: SandboxStatus;
    readonly exit?: Exit | undefined;
  }) {
    this.spec = state.spec;
    this.createdAt = state.createdAt;
    this.status = state.status ?? "created";
    this.exit = state.exit;
  }

  /** Takes a step of the table, or says that there is none. */
  step(step: SandboxStep): void {
    const status = nextSandboxStatus(this.status, step);
    if (status === undefined) throw new VigilError("internal", `no step ${step} from ${this.status}`);
    this.status = status;
  }

  /** Tells the end now or when it is known; the returned function ends the wait. */
  wait(waiter: ExitWaiter): () => void {
    if (this.exit) {
      waiter.exited(this.exit);
      return () => undefined;
    }
    return this.#waiters.add(waiter);
  }

  /** The end is on disk. */
  release(exit: Exit): void {
    this.#waiters.exited(exit);
  }
}

const version = 1;

type Saved = {
  readonly version: number;
  readonly spec: SandboxSpec & Json;
  readonly createdAt: string;
  readonly status: SandboxStatus;
  readonly exit: { readonly status: number; readonly at: string } | null;
};

export function saveSandbox({ spec, createdAt, status, exit }: Sandbox): Json {
  const { id, network, ownIpc, ownUts, hostname, cgroupParent } = spec;
  const saved: Saved = {
    version,
    spec: { id, network, ownIpc, ownUts, hostname, cgroupParent },
    createdAt: createdAt.toString(),
    status,
    exit: exit ? { status: exit.status, at: exit.at.toString() } : null,
  };
  return saved;
}

export function loadSandbox(json: Json): Sandbox {
  // Our own words, checksummed by the core: the version is the only thing that can differ.
  const saved = json as unknown as Saved;
  if (saved?.version !== version) throw new VigilError("data_loss", "state of the sandbox has an unknown version");
  return new Sandbox({
    spec: saved.spec,
    createdAt: BigInt(saved.createdAt),
    status: saved.status,
    exit: saved.exit ? { status: saved.exit.status, at: BigInt(saved.exit.at) } : undefined,
  });
}
