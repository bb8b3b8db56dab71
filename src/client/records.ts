import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Places } from "./places.js";

/** One shim as its records under `RUN/cores` tell of it: the core that serves it, and the containers registered with it. */
export interface ShimRecord {
  readonly namespace: string;
  readonly group: string;
  /** Path of the unix socket. */
  readonly socket: string;
  readonly pid: number;
  /** False: the records outlived the core, whose process is gone. */
  readonly alive: boolean;
  readonly containers: readonly { readonly id: string; readonly bundle: string }[];
}

type Fields = ReadonlyMap<string, string>;

/** Every shim that has left a record, living or not. What vanishes while it is read is as if it had never been there. */
export function listShims(at: Places): ShimRecord[] {
  const root = join(at.run, "cores");
  return directories(root).flatMap((namespace) => shimsOf(join(root, namespace), namespace));
}

function shimsOf(directory: string, namespace: string): ShimRecord[] {
  const members = directories(directory).map((id) => ({ id, fields: readFields(join(directory, id, "shim")) }));
  const groups = new Map<string, { id: string; fields: Fields }[]>();
  for (const { id, fields } of members) {
    // The directory of a group whose own container is gone still holds `core`, but no `shim`.
    const group = fields?.get("group") || id;
    const list = groups.get(group) ?? [];
    groups.set(group, list);
    if (fields) list.push({ id, fields });
  }
  return [...groups].flatMap(([group, registered]): ShimRecord[] => {
    const core = readFields(join(directory, group, "core"));
    const socket = core?.get("socket") ?? registered[0]?.fields.get("socket");
    if (!socket) return [];
    const pid = Number(core?.get("pid") ?? 0);
    return [
      {
        namespace,
        group,
        socket: socketPath(socket),
        pid,
        alive: pid > 0 && isSameProcess(pid, core?.get("start")),
        containers: registered.map(({ id, fields }) => ({ id, bundle: fields.get("bundle") ?? "" })),
      },
    ];
  });
}

export function socketPath(address: string): string {
  return address.replace(/^unix:(\/\/)?/, "");
}

/** A pid alone may have been given to another process since; with its start time it names one (proc(5), stat field 22). */
function isSameProcess(pid: number, startTicks: string | undefined): boolean {
  const stat = readText(`/proc/${pid}/stat`);
  if (stat === undefined) return false;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] !== "Z" && (startTicks === undefined || fields[19] === startTicks);
}

function readFields(path: string): Fields | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  return new Map(
    text
      .split("\n")
      .filter((line) => line.includes("="))
      .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
  );
}

function readText(path: string): string | undefined {
  return whileItLasts(() => readFileSync(path, "utf8"));
}

/** Names of the directories in a directory, sorted; none where there is none. */
export function directories(path: string): string[] {
  const names = whileItLasts(() => readdirSync(path)) ?? [];
  return names.filter((name) => whileItLasts(() => statSync(join(path, name)).isDirectory()) ?? false).sort();
}

function whileItLasts<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    // ESRCH: a process that ends between open and read of its /proc file.
    if (["ENOENT", "ENOTDIR", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
