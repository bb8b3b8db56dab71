// A scenario is data: what is typed, and what must be seen. It is played with the stock shim and with vigil.
import type { Version } from "../support/bed.js";

/**
 * Filled in: $ID; $NS, the namespace; $ROOTFS; $IMAGE, an imported image; $BASE, a directory of the scenario's own; $FIXTURES;
 * $MEMORY_ROOT, $LIMIT_FILE and $CPU_FILE, the memory hierarchy and the limits of $ID in the cgroup version at hand.
 */
export interface CtrStep {
  readonly ctr: readonly string[];
  /** The exit status that both runtimes must give; 0 if absent. */
  readonly code?: number | "any";
  /** What vigil must do where the stock shim does something else. */
  readonly vigil?: { readonly code: number; readonly err: RegExp };
  readonly stdin?: string | (() => Buffer);
  /** Runs under a pseudo terminal of this size. */
  readonly terminal?: { readonly rows: number; readonly columns: number };
  readonly out?: RegExp;
  readonly err?: RegExp;
  /** What to replace with "N" before comparing. */
  readonly mask?: RegExp;
  /** How stderr of the two is compared: to the letter, or by the kind of error (containerd's error classes and `err`). */
  readonly errors?: "exact" | "kind";
  /** Leaves it running; a later `join` collects it. */
  readonly background?: string;
}

export interface JoinStep {
  readonly join: string;
}

/** Waits for an event of the scenario's container, as `gist` prints it. */
export interface EventStep {
  readonly event: string | RegExp;
  readonly of?: string;
  /** The stock shim may lose it. */
  readonly vigilOnly?: boolean;
}

/** Signals the process of a background step. */
export interface SignalStep {
  readonly signal: NodeJS.Signals;
  readonly to: string;
}

/** Ends containerd with that signal and starts it again. */
export interface RestartStep {
  readonly restart: NodeJS.Signals;
  readonly meanwhile?: HostStep;
}

/** A command on the machine itself; its output is compared too. */
export interface HostStep {
  readonly host: readonly string[];
  readonly code?: number;
  readonly mask?: RegExp;
  readonly out?: RegExp;
  /** Repeats until the output fits. */
  readonly until?: RegExp;
}

/** The parts of an OCI runtime spec that scenarios change. */
export interface Spec {
  root: { path: string; readonly: boolean };
  process: { args: string[]; terminal: boolean; env?: string[]; rlimits?: unknown[]; [key: string]: unknown };
  mounts: { destination: string; type?: string; source?: string; options?: string[] }[];
  hooks?: Record<string, { path: string; args?: string[]; env?: string[]; timeout?: number }[]>;
  annotations?: Record<string, string>;
  linux: {
    cgroupsPath?: string;
    namespaces: { type: string; path?: string }[];
    sysctl?: Record<string, string>;
    uidMappings?: unknown[];
    gidMappings?: unknown[];
    resources?: Record<string, unknown>;
    [key: string]: unknown;
  };
}

/** Writes a spec for `ctr run --config`. */
export interface SpecStep {
  readonly spec: string;
  readonly command: readonly string[];
  readonly edit: (spec: Spec, fill: (text: string) => string) => void;
}

export type Step = CtrStep | JoinStep | EventStep | SignalStep | RestartStep | HostStep | SpecStep;

export interface AllowedDifference {
  /** As the report names it: `step 3 stderr`, `step 3 code`, `events`, `left`. */
  readonly field: RegExp;
  readonly versions?: readonly Version[];
  readonly reason: string;
}

export interface Scenario {
  readonly name: string;
  readonly steps: readonly Step[];
  /** "ordered" unless said: "set" where the stock shim gives no order; then vigil must still put each oom before the exit. */
  readonly events?: "ordered" | "set";
  readonly allowed?: readonly AllowedDifference[];
  /** Says why the scenario cannot run here, or undefined. */
  readonly skip?: (version: Version) => string | undefined;
  /** Part of the short list for slow machines. */
  readonly smoke?: boolean;
}

interface RunOptions extends Omit<CtrStep, "ctr"> {
  readonly id?: string;
}

/** `ctr run FLAGS --rootfs $ROOTFS $ID COMMAND`. */
export function run(flags: readonly string[], command: readonly string[], options: RunOptions = {}): CtrStep {
  const { id = "$ID", ...rest } = options;
  return { ctr: ["run", ...flags, "--rootfs", "$ROOTFS", id, ...command], ...rest };
}

export function sh(flags: readonly string[], script: string, options: RunOptions = {}): CtrStep {
  return run(flags, ["/bin/sh", "-c", script], options);
}

export function exec(
  execId: string,
  flags: readonly string[],
  command: readonly string[],
  options: RunOptions = {},
): CtrStep {
  const { id = "$ID", ...rest } = options;
  return { ctr: ["task", "exec", "--exec-id", execId, ...flags, id, ...command], ...rest };
}

export function task(verb: string, args: readonly string[] = ["$ID"], options: Omit<CtrStep, "ctr"> = {}): CtrStep {
  return { ctr: ["task", verb, ...args], ...options };
}

/** Two steps: a spec of the scenario's own, and `ctr run --config` with it. */
export function runSpec(
  flags: readonly string[],
  command: readonly string[],
  edit: SpecStep["edit"],
  options: Omit<CtrStep, "ctr"> = {},
): readonly Step[] {
  const spec = "$BASE/spec.json";
  return [
    { spec, command, edit },
    { ctr: ["run", ...flags, "--config", spec, "$ID"], ...options },
  ];
}

/** Ends a detached container the way a manager does. */
export const killAndDelete: readonly Step[] = [
  task("kill", ["-s", "SIGKILL", "$ID"]),
  { event: /^\/tasks\/exit init/ },
  task("delete", ["$ID"], { err: /exit code 137/ }),
  { ctr: ["container", "delete", "$ID"] },
];
