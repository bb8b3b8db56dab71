// The machine's control groups as directories, in every hierarchy.
import { readdir, readFile, rmdir, statfs } from "node:fs/promises";
import { join } from "node:path";
import { unifiedMemory } from "./bed.js";

const root = "/sys/fs/cgroup";
/** CGROUP_SUPER_MAGIC and CGROUP2_SUPER_MAGIC (linux/magic.h). */
const cgroupTypes: ReadonlySet<number> = new Set([0x27e0eb, 0x63677270]);

async function hierarchies(): Promise<string[]> {
  if (unifiedMemory) return [root];
  const entries = await readdir(root, { withFileTypes: true });
  const paths = entries.filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name));
  const types = await Promise.all(paths.map(async (path) => (await statfs(path)).type));
  return paths.filter((_, at) => cgroupTypes.has(types[at] ?? 0));
}

async function below(dir: string, found: string[]): Promise<void> {
  let entries: import("node:fs").Dirent[];
  try {
    entries = await readdir(dir, { withFileTypes: true });
  } catch (error) {
    // Removed while we looked.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const path = join(dir, entry.name);
    found.push(path);
    await below(path, found);
  }
}

/** Every cgroup directory whose path contains the text. */
export async function cgroupsNaming(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const hierarchy of await hierarchies()) await below(hierarchy, found);
  return found.filter((path) => path.includes(text));
}

/** Removes the empty directories, children first; a busy one stays and is the caller's to notice. */
export async function removeEmptyCgroups(text: string): Promise<void> {
  for (const path of (await cgroupsNaming(text)).reverse()) {
    await rmdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EBUSY" && error.code !== "ENOENT") throw error;
    });
  }
}

/** The directory of the memory controller for a cgroup path such as `/ns/id`. */
export function memoryDir(cgroupPath: string): string {
  return join(memoryRoot, cgroupPath);
}

export const memoryRoot = unifiedMemory ? root : join(root, "memory");

/** The file with the cpu quota of a cgroup path. */
export function cpuQuotaFile(cgroupPath: string): string {
  return unifiedMemory ? join(root, cgroupPath, "cpu.max") : join(root, "cpu", cgroupPath, "cpu.cfs_quota_us");
}

export const memoryFiles = unifiedMemory
  ? { limit: "memory.max", usage: "memory.current" }
  : { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes" };

/** Where the memory controller has a process: from the kernel, not from anybody's configuration. */
export async function memoryCgroupOf(pid: number): Promise<string> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, "utf8")).trim().split("\n");
  for (const line of lines) {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (unifiedMemory ? controllers === "" : controllers.split(",").includes("memory")) return path;
  }
  throw new Error(`no memory cgroup in /proc/${pid}/cgroup`);
}
