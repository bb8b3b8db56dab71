/** The birth of a process as the core is told of it: `struct birth` of native/include/vigil.h, before encoding. */

import type { Program } from "./ops.js";

export type StreamKind = "null" | "path" | "file" | "logger" | "inherit";

export interface StreamSpec {
  readonly kind: StreamKind;
  readonly path: string;
}

/** `struct oci_birth` of vigil.h: a program that makes the process. */
export interface OciBirth {
  readonly program: Program;
  /** Run when the birth fails after `program`. */
  readonly undo: Program;
  readonly pidFile: string;
  /** Empty: no terminal. */
  readonly consoleSocket: string;
  /** Unlinked at the end. */
  readonly files: readonly string[];
}

/** `struct criu` of vigil.h. */
export interface Criu {
  /** Looked for in PATH. */
  readonly program: string;
  readonly request: number;
  /** CRIU's criu_opts, encoded, without descriptors. */
  readonly options: Uint8Array;
  readonly images: string;
  readonly work: string;
  readonly timeoutMs: number;
}

/** `struct restore` of vigil.h: CRIU makes the process. */
export interface Restore {
  readonly criu: Criu;
  /** What the container's / is made of. */
  readonly root: string;
  /** Names that the images have for what streams replace; "": for nothing. */
  readonly inherited: readonly [string, string, string];
  /** Mount points in `root`, made if missing. */
  readonly directories: readonly string[];
  readonly files: readonly string[];
  /** Run if CRIU fails. */
  readonly undo: Ops;
}

/** An encoded list of ops (src/host/core/ops.ts). */
export type Ops = Uint8Array;

export interface Birth {
  readonly container: string;
  /** Empty: the init. */
  readonly exec: string;
  readonly teardown: string;
  readonly terminal: boolean;
  readonly ioUid: number;
  readonly ioGid: number;
  readonly ioTimeoutMs: number;
  readonly streams: readonly [StreamSpec, StreamSpec, StreamSpec];
  readonly logger: { readonly argv: readonly string[]; readonly env: readonly string[]; readonly mustReady: boolean };
  readonly script: Ops;
  readonly watch: {
    readonly version: 0 | 1 | 2;
    readonly cgroup: string;
    readonly held: readonly string[];
    readonly snapshot: readonly string[];
  };
  readonly cloneFlags: bigint;
  readonly joins: readonly { readonly flag: bigint; readonly path: string }[];
  readonly initNamespaces: bigint;
  readonly cgroup: { readonly version: 0 | 1 | 2; readonly directories: readonly string[] };
  readonly ops: Ops;
}
