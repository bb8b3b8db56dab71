import { VigilError } from "../base/errors.js";
import { Container, type ContainerState, type Leaving } from "./container.js";
import type { Exit } from "./exit-waiters.js";
import type { Json, RuntimeHandle, StdioSpec } from "./ports.js";
import { ExecProcess, TaskProcess } from "./process.js";
import type { Status } from "./state.js";

/** A container's state as it is committed: written by one daemon, read by the next, which may be a newer one. */
const version = 1;

type SavedExit = { readonly status: number; readonly at: string };

type Saved = {
  readonly version: number;
  readonly id: string;
  readonly bundle: string;
  readonly stdio: StdioSpec & Json;
  readonly handle: RuntimeHandle;
  readonly privatePids: boolean;
  readonly status: Status;
  readonly pid: number;
  readonly exit: SavedExit | null;
  readonly leaving: { readonly fact: string; readonly exit: SavedExit } | null;
  readonly createdAt: string;
  readonly startedAt: string;
  readonly limitsChangedAt: string;
  readonly oomKills: string;
  readonly lastFact: string;
  readonly execs: readonly {
    readonly id: string;
    readonly stdio: StdioSpec & Json;
    readonly spec: string;
    readonly status: Status;
    readonly pid: number;
    readonly exit: SavedExit | null;
    readonly failed: boolean;
  }[];
};

const saveExit = (exit: Exit | undefined): SavedExit | null =>
  exit ? { status: exit.status, at: exit.at.toString() } : null;
const loadExit = (saved: SavedExit | null): Exit | undefined =>
  saved ? { status: saved.status, at: BigInt(saved.at) } : undefined;
const saveStdio = ({ stdin, stdout, stderr, terminal }: StdioSpec): StdioSpec & Json => ({
  stdin,
  stdout,
  stderr,
  terminal,
});

// What only a request holds is not saved as such: its replay sets it again.
const settled = (status: Status): Status => (status === "pausing" ? "running" : status);

export function save(container: Container): Json {
  const { init, leaving } = container;
  const saved: Saved = {
    version,
    id: container.id,
    bundle: container.bundle,
    stdio: saveStdio(init.stdio),
    handle: container.handle,
    privatePids: container.privatePids,
    status: settled(init.status),
    pid: init.pid,
    exit: saveExit(init.exit),
    leaving: leaving
      ? { fact: leaving.fact.toString(), exit: { status: leaving.exit.status, at: leaving.exit.at.toString() } }
      : null,
    createdAt: container.createdAt.toString(),
    startedAt: container.startedAt.toString(),
    limitsChangedAt: container.limitsChangedAt.toString(),
    oomKills: container.oomKills.toString(),
    lastFact: container.lastFact.toString(),
    execs: [...container.execs.values()].map((exec) => ({
      id: exec.execId,
      stdio: saveStdio(exec.stdio),
      spec: exec.spec,
      status: exec.status,
      pid: exec.pid,
      exit: saveExit(exec.exit),
      failed: exec.failed,
    })),
  };
  return saved;
}

/** The container as it was committed. */
export function load(id: string, json: Json): Container {
  // Our own words, checksummed by the core: the version is the only thing that can differ.
  const saved = json as unknown as Saved;
  if (saved?.version !== version) throw new VigilError("data_loss", `state of ${id} has an unknown version`);
  const state: ContainerState = {
    id,
    bundle: saved.bundle,
    handle: saved.handle,
    privatePids: saved.privatePids,
    createdAt: BigInt(saved.createdAt),
    lastFact: BigInt(saved.lastFact),
    init: new TaskProcess({
      execId: "",
      stdio: saved.stdio,
      status: saved.status,
      pid: saved.pid,
      exit: loadExit(saved.exit),
    }),
  };
  const container = new Container(state);
  container.startedAt = BigInt(saved.startedAt);
  container.limitsChangedAt = BigInt(saved.limitsChangedAt);
  container.oomKills = BigInt(saved.oomKills);
  if (saved.leaving) container.leaving = loadLeaving(saved.leaving);
  for (const exec of saved.execs) {
    container.execs.set(
      exec.id,
      new ExecProcess({
        execId: exec.id,
        stdio: exec.stdio,
        status: exec.status,
        pid: exec.pid,
        exit: loadExit(exec.exit),
        spec: exec.spec,
        failed: exec.failed,
      }),
    );
  }
  return container;
}

function loadLeaving(saved: { readonly fact: string; readonly exit: SavedExit }): Leaving {
  return { fact: BigInt(saved.fact), exit: { status: saved.exit.status, at: BigInt(saved.exit.at) }, clearing: false };
}
