// Processes as the kernel shows them: who started whom.
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessView {
  readonly pid: number;
  readonly parent: number;
  readonly state: string;
  readonly command: string;
}

export function processView(pid: number): ProcessView | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { pid, parent: Number(parent), state, command };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}

export function allProcesses(): ProcessView[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => processView(Number(name)))
    .filter((view) => view !== undefined);
}

/** Those of its main thread, which is the only one of a core that starts any. */
export function childrenOf(pid: number): ProcessView[] {
  try {
    const pids = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
    return pids.map((child) => processView(Number(child))).filter((view) => view !== undefined);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return [];
    throw error;
  }
}

/** True while the process exists and has not become a zombie. */
export function alive(pid: number): boolean {
  const view = processView(pid);
  return view !== undefined && view.state !== "Z" && view.state !== "X";
}

/** SIGKILL; false when there was nobody left to kill. */
export function killNow(pid: number): boolean {
  try {
    process.kill(pid, "SIGKILL");
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
