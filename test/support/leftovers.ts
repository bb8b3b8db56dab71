// What a container manager and its shims may leave behind on a machine. A snapshot before, a snapshot after, no difference.
import { createHash } from "node:crypto";
import { readdir, readFile, readlink } from "node:fs/promises";
import { basename, join, normalize } from "node:path";
import { seconds } from "./bed.js";
import { cgroupsNaming } from "./cgroup-tree.js";

/** Whose leftovers: a namespace, or the beginning of several, whose name is in the paths and arguments of all they make. */
export interface Owner {
  readonly namespace: string;
  /** Directory of the containerd in use, where the bundles are. */
  readonly base: string;
  /** Shim sockets known to be theirs. */
  readonly sockets?: readonly string[];
}

const shimSockets = "/run/containerd/s";

/** Where containerd's contract puts the socket of a shim. */
export function shimSocket(grpcAddress: string, namespace: string, group: string): string {
  const key = normalize(`${grpcAddress}/${namespace}/${group}`);
  return join(shimSockets, createHash("sha256").update(key).digest("hex"));
}

async function readable(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Gone while we looked, or a kernel thread.
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES") return "";
    throw error;
  }
}

async function entries(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly places: string;
}

async function processEntry(pid: number): Promise<ProcessEntry | undefined> {
  const stat = await readable(`/proc/${pid}/stat`);
  if (stat === "") return undefined;
  const [state = "", parent = "0"] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const command = (await readable(`/proc/${pid}/cmdline`)).replaceAll("\0", " ").trim();
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => "");
  const places = [command, cwd, await readable(`/proc/${pid}/environ`), await readable(`/proc/${pid}/cgroup`)].join(
    "\0",
  );
  const name = command === "" ? stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")) : command;
  return { pid, parent: Number(parent), command: state === "Z" ? `${name} (zombie)` : name, places };
}

const daemon = /vigil\/\S*\.[cm]?js/;
const managers = /^\S*\/(containerd|ctr) -/;

async function processes(owner: Owner): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const all = (await Promise.all(pids.map(processEntry))).filter((entry) => entry !== undefined);
  const ours = all.filter((entry) => {
    if (entry.pid === process.pid || managers.test(entry.command)) return false;
    if (entry.places.includes(owner.namespace)) return true;
    // A daemon that lost its core carries no mark of its own.
    return daemon.test(entry.command) && entry.parent === 1;
  });
  return ours.map((entry) => `process ${entry.pid} ${entry.command.slice(0, 160)}`);
}

async function mounts(owner: Owner): Promise<string[]> {
  const lines = (await readFile("/proc/self/mountinfo", "utf8")).trim().split("\n");
  return lines
    .filter((line) => line.includes(`/${owner.namespace}`))
    .map((line) => `mount ${line.split(" ")[4]} (${line.split(" - ")[1]?.split(" ")[0]})`);
}

async function listening(): Promise<Set<string>> {
  const lines = (await readFile("/proc/net/unix", "utf8")).split("\n").slice(1);
  return new Set(lines.map((line) => line.trim().split(/\s+/)[7] ?? ""));
}

async function sockets(owner: Owner): Promise<string[]> {
  const live = await listening();
  // A live socket that is not ours belongs to another manager on this machine; a dead one belongs to nobody.
  return (await entries(shimSockets))
    .map((name) => join(shimSockets, name))
    .filter((path) => owner.sockets?.includes(path) === true || !live.has(path))
    .map((path) => `socket ${path}`);
}

async function stateOf(owner: Owner): Promise<string[]> {
  const found: string[] = [];
  for (const dir of ["/run/vigil", "/run/vigil/cores", "/run/containerd/fifo", "/run/containerd/runc", "/run/runc"]) {
    for (const name of await entries(dir)) {
      const path = join(dir, name);
      if (!name.startsWith(owner.namespace)) continue;
      for (const child of await entries(path)) {
        const inside = child.endsWith(".lock") ? [] : await entries(join(path, child));
        found.push(`state ${join(path, child)}${inside.length > 0 ? ` (${inside.join(", ")})` : ""}`);
      }
    }
  }
  return found;
}

/** The client's fifos are not looked at: the client that made them has to remove them. */
async function bundles({ base, namespace }: Owner): Promise<string[]> {
  const found: string[] = [];
  for (const kind of ["io.containerd.runtime.v2.task", "io.containerd.sandbox.controller.v1.shim"]) {
    const dir = join(base, "state", kind);
    for (const name of await entries(dir)) {
      if (!name.startsWith(namespace)) continue;
      for (const id of await entries(join(dir, name))) found.push(`bundle ${join(dir, name, id)}`);
    }
  }
  return found;
}

/** The parent directory of a namespace's cgroups stays by design; what is below it does not. */
async function cgroups({ namespace }: Owner): Promise<string[]> {
  const found = await cgroupsNaming(`/${namespace}`);
  return found.filter((path) => !basename(path).startsWith(namespace)).map((path) => `cgroup ${path}`);
}

export async function takeSnapshot(owner: Owner): Promise<readonly string[]> {
  const parts = await Promise.all([processes, mounts, cgroups, sockets, stateOf, bundles].map((look) => look(owner)));
  return parts.flat();
}

export function added(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before);
  return after.filter((entry) => !known.has(entry));
}

/** What stays over after everybody had time to finish; empty is good. */
export async function leftSince(before: readonly string[], owner: Owner, limitMs = seconds(5)): Promise<string[]> {
  const end = performance.now() + limitMs;
  for (;;) {
    const left = added(before, await takeSnapshot(owner));
    if (left.length === 0 || performance.now() > end) return left;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
