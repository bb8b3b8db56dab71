/** What happened, as the core saw it (native/include/vigil.h, enum vg_fact): on disk before the model hears of it. */

interface FactBase {
  /** Rises by one a fact of a core, from 1. */
  readonly seq: bigint;
  readonly container: string;
  /** Nanoseconds since 1970. */
  readonly at: bigint;
}

export interface CreatedFact extends FactBase {
  readonly kind: "created";
  readonly pid: number;
}

export interface StartedFact extends FactBase {
  readonly kind: "started";
  /** Empty: the init. */
  readonly exec: string;
  readonly pid: number;
}

/** A counter file before and after, raw; `after` is empty when it could no longer be read. */
export interface HeldFile {
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

export interface OomFact extends FactBase {
  readonly kind: "oom";
  /** New kills by the container's own counter, and all of them since the baseline. */
  readonly kills: bigint;
  readonly total: bigint;
  readonly monotonic: bigint;
  /** Own file first, then the ancestors'. */
  readonly held: readonly HeldFile[];
  readonly snapshot: readonly { readonly path: string; readonly text: string }[];
  /** Lines of /dev/kmsg since the last look that speak of OOM kills, oldest first. */
  readonly lines: readonly string[];
  /** Read between the init's death and its reaping. */
  readonly last: boolean;
  readonly initPid: number;
  readonly execs: readonly { readonly exec: string; readonly pid: number }[];
}

export interface ExitedFact extends FactBase {
  readonly kind: "exited";
  /** Empty: the init. */
  readonly exec: string;
  readonly pid: number;
  /** Code, or 128 + signal. */
  readonly status: number;
  /** 0: none. */
  readonly signal: number;
  readonly maxRssBytes: bigint;
  /** False: it died before execve. */
  readonly started: boolean;
}

export type Fact = CreatedFact | StartedFact | OomFact | ExitedFact;
