import type { Birth, OciBirth, Ops, Restore } from "./birth.js";

/** Where the core goes to be a pod. */
export interface CoreSandbox {
  readonly id: string;
  /** Path of a network namespace; empty: where it is. */
  readonly network: string;
  readonly ownIpc: boolean;
  readonly ownUts: boolean;
  readonly hostname: string;
}

/**
 * The keyed commands that a daemon may give the core (native/include/vigil.h, VG_CMD_...). A command is done once a key; its
 * result is kept until the key's request is committed. A failure is a CoreError with the kernel's error number.
 */
export interface CoreCommands {
  /** Resolves with the pid: an init waits for start(), an exec has passed execve. */
  birth(key: string, birth: Birth): Promise<number>;
  /** As birth(), of an init that runs when this resolves. */
  restore(key: string, birth: Birth, restore: Restore): Promise<number>;
  script(key: string, ops: Ops, options: { readonly undo: boolean }): Promise<void>;
  start(key: string, container: string): Promise<void>;
  signal(key: string, container: string, exec: string, signal: number): Promise<void>;
  resize(key: string, container: string, exec: string, columns: number, rows: number): Promise<void>;
  closeStdin(key: string, container: string, exec: string): Promise<void>;
  drain(key: string, container: string, exec: string, timeoutMs: number): Promise<void>;
  forget(key: string, container: string, exec: string): Promise<void>;
}

/** The command that makes a pod of the core itself. */
export interface SandboxCommands {
  sandbox(key: string, sandbox: CoreSandbox): Promise<void>;
}

/** The commands for processes that an OCI runtime makes. */
export interface OciCommands extends CoreCommands {
  /** As birth(); `cgroups` is the text of an init's /proc/PID/cgroup. One that is restored runs already: it needs no start. */
  ociBirth(
    key: string,
    birth: Birth,
    oci: OciBirth,
    how: "create" | "restore",
  ): Promise<{ readonly pid: number; readonly cgroups: string }>;
  /** The success of `ops` is the start of the init. */
  ociStart(key: string, container: string, ops: Ops): Promise<void>;
  /** Once the runtime has made the cgroups: watches them, and replaces the teardown record. */
  watch(key: string, container: string, watch: Birth["watch"], teardown: string): Promise<void>;
}

/** What the core or one of its helpers answered: `errno` > 0, the index of the op that failed, and its own words. */
export class CoreError extends Error {
  override readonly name = "CoreError";
  readonly errno: number;
  readonly op: number;

  constructor(errno: number, op: number, message: string) {
    super(message);
    this.errno = errno;
    this.op = op;
  }
}
