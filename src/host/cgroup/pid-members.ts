import { readdirSync, readlinkSync } from "node:fs";
import { readKernelFile } from "./files.js";

/** Pids by which this process knows all that are in the pid namespace of an init; undefined if it is not the namespace's own. */
export function membersOfPidNamespace(init: number): number[] | undefined {
  const ids = /^NSpid:\s+(.*)$/m.exec(readKernelFile(`/proc/${init}/status`) ?? "")?.[1]?.split(/\s+/) ?? [];
  if (ids.length < 2 || ids.at(-1) !== "1") return undefined;
  const own = namespaceOf(init);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => own !== undefined && namespaceOf(pid) === own);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    // Gone, or of somebody whom this user may not look at: none of his containers' then.
    return undefined;
  }
}

/** Field 22 of stat, proc(5): the name before it may hold anything, but ends with the last parenthesis. 0: it is gone. */
export function startTimeOf(pid: number): bigint {
  const text = readKernelFile(`/proc/${pid}/stat`) ?? "";
  return BigInt(text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? 0);
}
