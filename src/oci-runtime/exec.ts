import { readFileSync } from "node:fs";
import { VigilError } from "../base/errors.js";
import { parseUser } from "../cli/quantities.js";
import { openBundle } from "../host/bundle.js";
import { detectCaller } from "../host/caller.js";
import type { ProcessSpec } from "../host/oci/process.js";
import { openContainer } from "./container.js";
import type { Context } from "./context.js";
import { preservedFds, writePidFile } from "./create.js";

export interface ExecOptions {
  /** File with the OCI process object; then there is no command. */
  readonly process?: string;
  readonly consoleSocket?: string;
  readonly pidFile?: string;
  readonly detach?: boolean;
  readonly tty?: boolean;
  readonly cwd?: string;
  readonly env?: readonly string[];
  readonly user?: string;
  readonly additionalGids?: readonly string[];
  readonly cap?: readonly string[];
  /** False: no_new_privs, which the container need not have. */
  readonly newPrivs?: boolean;
  readonly apparmor?: string;
  readonly processLabel?: string;
  readonly preserveFds?: number;
  readonly ignorePaused?: boolean;
}

/** Another process in a container; in the foreground its exit status, detached 0 once its execve succeeded. */
export async function exec(
  context: Context,
  id: string,
  command: readonly string[],
  options: ExecOptions,
): Promise<number> {
  const container = openContainer(context, id);
  const status = container.status();
  if (status === "stopped") throw new VigilError("failed_precondition", "cannot exec in a stopped container");
  if (status === "paused" && options.ignorePaused !== true) {
    throw new VigilError("failed_precondition", "cannot exec in a paused container (use --ignore-paused to override)");
  }
  if (status === "created" && detectCaller().uid !== 0) {
    // What has not executed its program yet is closed to all but the machine's root, ptrace(2): and so are its namespaces, setns(2).
    throw new VigilError("failed_precondition", "an unprivileged user cannot exec in a container before its start");
  }
  const text = processText(container.bundle, command, options);
  const terminal = options.tty ?? isTerminal(text);
  const wait = options.detach !== true;
  if (terminal && !wait && options.consoleSocket === undefined) {
    throw new VigilError("invalid_argument", "a detached process with a terminal needs --console-socket");
  }
  const { port, solo } = container.runtime({
    consoleSocket: options.consoleSocket,
    preserved: preservedFds(options),
    wait,
  });
  const pid = await port.exec("", container, {
    execId: "exec",
    stdio: { stdin: "", stdout: "", stderr: "", terminal },
    process: text,
  });
  if (options.pidFile !== undefined) writePidFile(options.pidFile, pid);
  return wait ? solo.exited() : 0;
}

function isTerminal(process: string): boolean {
  return (JSON.parse(process) as { terminal?: unknown }).terminal === true;
}

/** The process object as JSON: the file's, or the container's own with what the options change. */
function processText(bundle: string, command: readonly string[], options: ExecOptions): string {
  if (options.process !== undefined) {
    const text = readFileSync(options.process, "utf8");
    try {
      JSON.parse(text);
    } catch (cause) {
      throw new VigilError("invalid_argument", `${options.process}: not JSON: ${VigilError.from(cause).message}`, {
        cause,
      });
    }
    return text;
  }
  if (command.length === 0) throw new VigilError("invalid_argument", "process args cannot be empty");
  return JSON.stringify(changed(openBundle(bundle).spec.process, command, options), (_, value: unknown) =>
    typeof value === "bigint" ? Number(value) : value,
  );
}

function changed(own: ProcessSpec, args: readonly string[], options: ExecOptions): object {
  // Without limits in it a process has the container's, as they are.
  const { consoleSize: _, rlimits: __, ...inherited } = own;
  const user = options.user === undefined ? own.user : { ...parseUser(options.user), additionalGids: [] as number[] };
  const gids = (options.additionalGids ?? []).map(Number);
  const added = options.cap ?? [];
  const capabilities = own.capabilities && {
    bounding: [...own.capabilities.bounding, ...added],
    effective: [...own.capabilities.effective, ...added],
    permitted: [...own.capabilities.permitted, ...added],
    inheritable: own.capabilities.inheritable,
    ambient: own.capabilities.ambient,
  };
  return {
    ...inherited,
    args,
    terminal: options.tty === true,
    user: { ...user, additionalGids: [...user.additionalGids, ...gids] },
    env: [...own.env, ...(options.env ?? [])],
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    ...(capabilities && { capabilities }),
    ...(options.newPrivs === false && { noNewPrivileges: true }),
    ...(options.apparmor !== undefined && { apparmorProfile: options.apparmor }),
    ...(options.processLabel !== undefined && { selinuxLabel: options.processLabel }),
  };
}
