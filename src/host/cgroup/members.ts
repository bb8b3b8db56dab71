import { readFileSync } from "node:fs";
import { childrenOf } from "./files.js";

// A threaded cgroup lists no processes (EOPNOTSUPP), only threads; a cgroup may vanish between two looks (ENOENT, ENODEV).
function numbersIn(directory: string): number[] {
  for (const file of ["cgroup.procs", "cgroup.threads"]) {
    try {
      const lines = readFileSync(`${directory}/${file}`, "utf8").split("\n");
      return lines.filter((line) => line !== "").map(Number);
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENODEV") return [];
      if (code !== "EOPNOTSUPP" && code !== "ENOTSUP") throw thrown;
    }
  }
  return [];
}

/** Pids of all processes in a cgroup and below it; none when it is gone. */
export function membersBelow(directory: string): number[] {
  const below = childrenOf(directory).flatMap((name) => membersBelow(`${directory}/${name}`));
  return [...new Set([...numbersIn(directory), ...below])];
}
