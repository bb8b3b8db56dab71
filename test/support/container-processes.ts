// Who serves a container: by asking the manager and the kernel, so it holds for any shim.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "./command.js";
import type { Containerd, Namespace } from "./containerd.js";
import { childrenOf, type ProcessView, processView } from "./process-tree.js";

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

/** The core of a container, as it notes itself for others: cheap enough to ask every few milliseconds. */
export function coreOf({ namespace }: Namespace, id: string): number | undefined {
  try {
    const note = readFileSync(join("/run/vigil/cores", namespace, id, "core"), "utf8");
    const pid = /^pid=(\d+)$/m.exec(note)?.[1];
    return pid === undefined ? undefined : Number(pid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export function daemonOf(core: number): ProcessView | undefined {
  return childrenOf(core).find((view) => view.state !== "Z" && nodeProgram.test(view.command));
}

/** The daemon of a core, waited for: a core starts it again when it is needed. */
export function daemonFor(core: number, limitMs?: number): Promise<ProcessView> {
  return eventually(`a daemon of the core ${core}`, () => daemonOf(core), limitMs);
}
