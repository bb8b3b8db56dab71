import { readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { ContainerRef, CreateSpec, ExecSpec, RuntimeOptions } from "../../task/ports.js";
import { mountPoint } from "../bundle.js";
import type { Birth, OciBirth } from "../core/birth.js";
import { encodeOps, file, mkdir, type Op } from "../core/ops.js";
import { planStreams } from "../io/streams.js";
import { refuse } from "../oci/check.js";
import { forgetLog } from "./criu-failure.js";
import { restoreWords } from "./oci-checkpoint.js";
import { deleteByForce, exchangeDirectory, noProgram, ociCommand, ociStep } from "./oci-command.js";
import type { OciHandle } from "./oci-handle.js";
import { openTimeoutMs } from "./plan.js";
import { planRootfs } from "./plan-rootfs.js";
import { type RuntimeRemains, teardownRecord } from "./teardown.js";

export interface OciPlan {
  readonly birth: Birth;
  readonly oci: OciBirth;
  /** Host ops of the birth: an index in an answer of the core counts these. */
  readonly ops: readonly Op[];
}

export interface OciCreatePlan extends OciPlan {
  readonly handle: Omit<OciHandle, "placement">;
  readonly remains: RuntimeRemains;
}

const processMode = 0o600;
export const directoryMode = 0o700;

/** The rest of a birth: namespaces, cgroups and what happens in the child are the runtime's. */
const nothingOfOurs = {
  watch: { version: 0, cgroup: "", held: [], snapshot: [] },
  cloneFlags: 0n,
  joins: [],
  initNamespaces: 0n,
  cgroup: { version: 0, directories: [] },
  ops: encodeOps([]),
} as const satisfies Partial<Birth>;

/** Where the restoring runtime's CRIU works. */
export const workDirectory = ({ criuWorkPath }: RuntimeOptions, directory: string): string => criuWorkPath || directory;

/** The birth of an init that waits for its start; of one that is restored, which waits for nothing. */
export function planOciCreate(
  request: CreateSpec,
  { key, namespace, runDirectory }: { readonly key: string; readonly namespace: string; readonly runDirectory: string },
): OciCreatePlan {
  const { id, bundle, options, stdio } = request;
  if (!isAbsolute(bundle) || /[\n\0]/.test(bundle))
    refuse("bundle", `${JSON.stringify(bundle)} is not an absolute path`);
  const command = ociCommand(options, namespace);
  const directory = exchangeDirectory(runDirectory, namespace, id);
  const step = ociStep(command, directory, key);
  const target = request.rootfs.length > 0 ? mountPoint({ path: bundle }) : "";
  const remains = { argv: [...command, ...deleteByForce(id)], directory };
  const ops = [
    mkdir(directory, directoryMode),
    ...(request.checkpoint === "" ? [] : [forgetLog("restore", workDirectory(options, directory))]),
    ...planRootfs(request.rootfs, target),
  ];
  const restored = request.checkpoint !== "";
  const words = [
    ...(restored ? restoreWords(request, workDirectory(options, directory)) : ["create", "--bundle", bundle]),
    ...["--pid-file", step.pidFile],
    ...(stdio.terminal ? ["--console-socket", step.consoleSocket] : []),
    ...(options.noPivotRoot ? ["--no-pivot"] : []),
    ...(options.noNewKeyring && !restored ? ["--no-new-keyring"] : []),
    id,
  ];
  return {
    birth: {
      container: id,
      exec: "",
      teardown: teardownRecord(undefined, target || undefined, { remains }),
      terminal: stdio.terminal,
      ioUid: options.ioUid,
      ioGid: options.ioGid,
      ioTimeoutMs: openTimeoutMs,
      ...planStreams(stdio, id, namespace),
      script: encodeOps(ops),
      ...nothingOfOurs,
    },
    oci: {
      program: step.program("create", words),
      undo: step.program("other", deleteByForce(id)),
      pidFile: step.pidFile,
      consoleSocket: stdio.terminal ? step.consoleSocket : "",
      files: step.files,
    },
    ops,
    handle: { command, directory, mountPoint: target, ioUid: options.ioUid, ioGid: options.ioGid },
    remains,
  };
}

/** The process as the exec was asked for; the request decides about the terminal. */
function processJson(spec: ExecSpec): string {
  try {
    const process = JSON.parse(spec.process) as Record<string, unknown>;
    return JSON.stringify({ ...process, terminal: spec.stdio.terminal });
  } catch (cause) {
    return refuse("process", `not JSON: ${(cause as Error).message}`);
  }
}

export function planOciExec(
  container: ContainerRef,
  handle: OciHandle,
  spec: ExecSpec,
  { key, namespace }: { readonly key: string; readonly namespace: string },
): OciPlan {
  const { execId, stdio } = spec;
  const step = ociStep(handle.command, handle.directory, key);
  const ops = [file(step.process, processMode, processJson(spec))];
  const words = [
    ...["exec", "--process", step.process, "--detach", "--pid-file", step.pidFile],
    ...(stdio.terminal ? ["--console-socket", step.consoleSocket] : []),
    container.id,
  ];
  return {
    birth: {
      container: container.id,
      exec: execId,
      teardown: "",
      terminal: stdio.terminal,
      ioUid: handle.ioUid,
      ioGid: handle.ioGid,
      ioTimeoutMs: openTimeoutMs,
      ...planStreams(stdio, execId, namespace),
      script: encodeOps(ops),
      ...nothingOfOurs,
    },
    oci: {
      program: step.program("exec", words),
      undo: noProgram,
      pidFile: step.pidFile,
      consoleSocket: stdio.terminal ? step.consoleSocket : "",
      files: step.files,
    },
    ops,
  };
}

/** Whether the kernel ends the container's processes with its init. What cannot be read has no pid namespace. */
export function hasPrivatePids(bundle: string): boolean {
  try {
    const config = JSON.parse(readFileSync(`${bundle}/config.json`, "utf8")) as {
      linux?: { namespaces?: { type?: unknown; path?: unknown }[] };
    };
    return config.linux?.namespaces?.some(({ type, path }) => type === "pid" && (path ?? "") === "") ?? false;
  } catch {
    return false;
  }
}
