/**
 * What the model asks of the world. Implemented by `host` and `events`, faked in unit tests.
 *
 * Every call with a `key` changes something and is done at most once: a repetition with the same key, also by the next
 * daemon after a crash, gets the first result. Failures are VigilErrors whose code is what the caller's RPC answers.
 */

import type { ExitedFact, OomFact } from "./facts.js";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** A mount of the Create request's rootfs list (containerd.types.Mount). */
export interface MountSpec {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** Stream addresses as the client gave them: "", a path, fifo://, file://, binary://. */
export interface StdioSpec {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/** Options of the runtime, whichever of the three messages carried them. */
export interface RuntimeOptions {
  readonly noPivotRoot: boolean;
  readonly noNewKeyring: boolean;
  readonly shimCgroup: string;
  readonly ioUid: number;
  readonly ioGid: number;
  readonly binaryName: string;
  readonly root: string;
  readonly systemdCgroup: boolean;
  readonly criuImagePath: string;
  readonly criuWorkPath: string;
}

export interface CreateSpec {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: readonly MountSpec[];
  readonly stdio: StdioSpec;
  readonly options: RuntimeOptions;
  /** Directory of the images that Start restores it from; empty: a new container. */
  readonly checkpoint: string;
}

/** Of a container's processes to files. */
export interface CheckpointSpec {
  readonly imageDirectory: string;
  /** For CRIU's log; empty: nowhere that stays. */
  readonly workDirectory: string;
  /** The container ends with it. */
  readonly exit: boolean;
  readonly openTcp: boolean;
  readonly externalUnixSockets: boolean;
  /** Its terminal is one of the host's. */
  readonly terminal: boolean;
  readonly fileLocks: boolean;
  /** Kinds of namespaces whose content is left out. */
  readonly emptyNamespaces: readonly string[];
  /** What becomes of the cgroups' settings, in CRIU's words; empty: its own way. */
  readonly cgroupsMode: string;
}

/** A pod whose namespaces the core itself is to have. */
export interface SandboxSpec {
  readonly id: string;
  /** Path of its network namespace; empty: the machine's. */
  readonly network: string;
  readonly ownIpc: boolean;
  readonly ownUts: boolean;
  /** Empty: the machine's. */
  readonly hostname: string;
  /** The cgroup above its containers'; empty: not known. */
  readonly cgroupParent: string;
}

export interface ExecSpec {
  readonly execId: string;
  readonly stdio: StdioSpec;
  /** The OCI `process` object as it came (JSON text); `stdio.terminal` wins over its `terminal`. */
  readonly process: string;
}

/** What a runtime must remember of a container: committed with the container's state, opaque to the model. */
export type RuntimeHandle = { readonly [name: string]: Json };

export interface CreatedContainer {
  /** 0: its start restores it, so far there is no process. */
  readonly pid: number;
  readonly handle: RuntimeHandle;
  /** False: the init's death does not end the others, so the model kills them (runc's ShouldKillAllOnExit). */
  readonly privatePids: boolean;
}

/** A container as a runtime is told of it. */
export interface ContainerRef {
  readonly id: string;
  readonly bundle: string;
  readonly handle: RuntimeHandle;
}

export interface Runtime {
  /** Up to the init waiting for `start`. On failure nothing remains: no cgroup, mount, process or record. */
  create(key: string, spec: CreateSpec): Promise<CreatedContainer>;
  /**
   * Resolves once execve of the init succeeded, or once it was restored; the started fact has come before. With what is to be
   * remembered from now on, if that is something else.
   */
  start(key: string, container: ContainerRef): Promise<RuntimeHandle | undefined>;
  /** Creates and starts; resolves with the pid once execve succeeded. */
  exec(key: string, container: ContainerRef, spec: ExecSpec): Promise<number>;
  /** Signal to the init or (execId not empty) an exec; code not_found "process already finished" when it is gone. */
  signal(key: string, container: ContainerRef, execId: string, signal: number): Promise<void>;
  /** Signal to every process of the container. */
  signalAll(key: string, container: ContainerRef, signal: number): Promise<void>;
  pause(key: string, container: ContainerRef): Promise<void>;
  resume(key: string, container: ContainerRef): Promise<void>;
  /** `resources`: OCI `linux.resources` as JSON text. A failed update leaves the old values. */
  update(key: string, container: ContainerRef, resources: string): Promise<void>;
  checkpoint(key: string, container: ContainerRef, spec: CheckpointSpec): Promise<void>;
  /** Host pids of all processes in the container's cgroups. */
  pids(container: ContainerRef): Promise<number[]>;
  stats(container: ContainerRef): Promise<ContainerStats>;
  /** Kills what is left, removes cgroups, unmounts the rootfs, forgets the container in the core. */
  remove(key: string, container: ContainerRef): Promise<void>;
  resize(key: string, container: ContainerRef, execId: string, columns: number, rows: number): Promise<void>;
  closeStdin(key: string, container: ContainerRef, execId: string): Promise<void>;
  /** Waits until the output reached its readers, at most `timeoutMs`; then the streams are closed. */
  drain(key: string, container: ContainerRef, execId: string, timeoutMs: number): Promise<void>;
  /** Forgets a finished or never started exec. */
  forgetExec(key: string, container: ContainerRef, execId: string): Promise<void>;
}

/** What a pod without a container of its own needs of its machine. */
export interface SandboxRuntime {
  /** From here on the core has the pod's namespaces and stays without containers, too. On failure it is as before. */
  enter(key: string, sandbox: SandboxSpec): Promise<void>;
  /** Of all containers of the pod. */
  stats(sandbox: SandboxSpec): Promise<ContainerStats>;
}

/** Statistics as a protobuf message of containerd's (io.containerd.cgroups.v1.Metrics or v2), ready to be wrapped in an Any. */
export interface ContainerStats {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** An event on its way out, before it has a sequence number. */
export interface Announcement {
  readonly topic: string;
  readonly containerId: string;
  /** Name and fields of a containerd.events message; encoded by `events/topics.ts`. */
  readonly event: TaskEvent;
  /** Nanoseconds since 1970. */
  readonly at: bigint;
  /** The fact behind it; 0n when a request is. */
  readonly fact: bigint;
}

export type TaskEvent =
  | {
      kind: "create";
      bundle: string;
      rootfs: readonly MountSpec[];
      stdio: StdioSpec;
      checkpoint: string;
      pid: number;
    }
  | { kind: "start"; pid: number }
  | { kind: "exec-added"; execId: string }
  | { kind: "exec-started"; execId: string; pid: number }
  | { kind: "exit"; id: string; pid: number; exitStatus: number; exitedAt: bigint }
  | { kind: "delete"; pid: number; exitStatus: number; exitedAt: bigint }
  | { kind: "paused" }
  | { kind: "resumed" }
  | { kind: "checkpointed"; checkpoint: string }
  | { kind: "oom" };

/** One atomic change: state, events and reply together, on disk before the promise resolves. */
export interface Commit {
  readonly key: string;
  /** Container id → its state as JSON, or null to forget it; the empty id is the sandbox. */
  readonly states: ReadonlyMap<string, Json | null>;
  readonly announcements: readonly Announcement[];
  /** Facts up to this number are covered; 0n: unchanged. */
  readonly factsThrough: bigint;
  /** The encoded response message of the RPC that ends with this commit; absent when none does. */
  readonly reply?: Uint8Array;
  /** Nothing more will be done under this key: the kept results of its steps can go. */
  readonly finished: boolean;
}

export interface Journal {
  commit(commit: Commit): Promise<void>;
}

/** What is known of a container at an OOM kill, beside the fact itself. */
export interface OomContext {
  /** Nanoseconds since 1970 of the last accepted change of the limits; 0n: none since the creation. */
  readonly limitsChangedAt: bigint;
  /** False: the container was still being created, so no event tells of this kill. */
  readonly announced: boolean;
}

/** Keeps what is known of OOM kills. Called while a fact is applied, so before its commit; the same fact may come again. */
export interface OomReports {
  record(fact: OomFact, context: OomContext): void;
  /**
   * A process of the container exited: completes reports that could not tell who was killed. `asked`: a request had sent it
   * SIGKILL, so that its death says nothing.
   */
  attribute(fact: ExitedFact, asked: boolean): void;
}
