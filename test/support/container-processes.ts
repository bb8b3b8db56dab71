// Who serves a container: by asking the manager and the kernel, so it holds for any shim.
import { eventually } from "./command.js";
import type { Containerd } from "./containerd.js";
import { allProcesses, type ProcessView, processView } from "./process-tree.js";

const coreProgram = /(^|\/)vigil-core( |$)/;
const nodeProgram = /(^|\/)node( |$)|vigil\/\S*\.[cm]?js/;

export async function initPid(containerd: Containerd, id: string): Promise<number> {
  const { stdout } = await containerd.ctr(["task", "ls"]);
  const row = stdout
    .toString()
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .find(([name]) => name === id);
  const pid = Number(row?.[1] ?? "0");
  if (pid === 0) throw new Error(`no task ${id} in: ${stdout}`);
  return pid;
}

/** The parent of the container's first process is its supervisor: the shim reaps what it started. */
export async function supervisorOf(containerd: Containerd, id: string): Promise<number> {
  const view = processView(await initPid(containerd, id));
  if (view === undefined) throw new Error(`the first process of ${id} is gone`);
  return view.parent;
}

/** vigil's cores of one containerd: their arguments or environment name its socket or namespace. */
export function coresOf(containerd: Containerd): ProcessView[] {
  return allProcesses().filter((view) => coreProgram.test(view.command) && view.command.includes(containerd.namespace));
}

export function daemonOf(core: number): ProcessView | undefined {
  return allProcesses().find((view) => view.parent === core && view.state !== "Z" && nodeProgram.test(view.command));
}

/** The daemon of a core, waited for: a core starts it again when it is needed. */
export function daemonFor(core: number, limitMs?: number): Promise<ProcessView> {
  return eventually(`a daemon of the core ${core}`, () => daemonOf(core), limitMs);
}
