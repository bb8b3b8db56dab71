import { refuse } from "../../oci/check.js";
import type { Resources } from "../../oci/resources.js";
import { wholeNumber } from "../key-values.js";
import type { CgroupWrite, Controller, ControllerView } from "./controller.js";

type Memory = NonNullable<Resources["memory"]>;

const unlimited = -1n;
const maximumSwappiness = 100n;

const v1Limit = "memory.limit_in_bytes";
const v1LimitWithSwap = "memory.memsw.limit_in_bytes";

/** v2 counts swap alone, the specification memory and swap together. undefined: leave the file. */
export function swapOnly(limit: bigint, both: bigint, path: string): bigint | undefined {
  if (limit === unlimited && both === 0n) return unlimited;
  if (both === 0n) return undefined;
  if (both === unlimited || limit === unlimited) return both;
  if (limit === 0n) refuse(`${path}.swap`, "a limit of memory and swap needs a limit of memory");
  if (limit < 0n) refuse(`${path}.limit`, `${limit} is not an amount of memory`);
  if (both < limit) refuse(`${path}.swap`, `memory and swap together (${both}) are less than the memory (${limit})`);
  return both - limit;
}

function check(memory: Memory, path: string): void {
  for (const key of ["limit", "reservation", "swap", "kernel", "kernelTCP"] as const) {
    const value = memory[key];
    if (value !== undefined && value < unlimited) refuse(`${path}.${key}`, `${value} is not an amount of memory`);
  }
}

function checkUsage(limit: bigint, swap: bigint, view: ControllerView, path: string): void {
  const usage = wholeNumber(view.read("memory.current"));
  if (usage === undefined) return;
  if (swap > 0n && swap <= usage) refuse(`${path}.swap`, `${swap} is not above the ${usage} bytes in use`);
  if (limit > 0n && limit <= usage) refuse(`${path}.limit`, `${limit} is not above the ${usage} bytes in use`);
}

function limitHint(wanted: bigint, view: ControllerView): { hint?: string } {
  const usage = view.read("memory.usage_in_bytes")?.trim();
  const peak = view.read("memory.max_usage_in_bytes")?.trim();
  return usage === undefined ? {} : { hint: `limit ${wanted}, in use ${usage}, peak ${peak}` };
}

function limitsV1(memory: Memory, view: ControllerView, path: string): CgroupWrite[] {
  const limit = memory.limit ?? 0n;
  const hasSwap = view.has(v1LimitWithSwap);
  let both = memory.swap ?? 0n;
  if (limit === unlimited && both === 0n) both = unlimited;
  if (both === unlimited && !hasSwap) both = 0n;
  if (both > 0n && limit > both) {
    refuse(`${path}.swap`, `memory and swap together (${both}) are less than the memory (${limit})`);
  }
  const writeLimit = { file: v1Limit, value: String(limit), ...limitHint(limit, view) };
  const writeBoth = {
    file: v1LimitWithSwap,
    value: String(both),
    ...(!hasSwap && { hint: "this kernel does not account for swap" }),
  };
  if (both === 0n) return limit === 0n ? [] : [writeLimit];
  if (limit === 0n) return [writeBoth];
  // At every moment memory+swap must be at least memory (kernel cgroup-v1/memory.rst): it grows first and shrinks last.
  const current = wholeNumber(view.read(v1Limit));
  const grows = both === unlimited || (current !== undefined && both > current);
  return grows ? [writeBoth, writeLimit] : [writeLimit, writeBoth];
}

function writesV1(memory: Memory, view: ControllerView, path: string): CgroupWrite[] {
  const writes = limitsV1(memory, view, path);
  if (memory.reservation) writes.push({ file: "memory.soft_limit_in_bytes", value: String(memory.reservation) });
  for (const [key, file] of [
    ["kernel", "memory.kmem.limit_in_bytes"],
    ["kernelTCP", "memory.kmem.tcp.limit_in_bytes"],
  ] as const) {
    if (!memory[key]) continue;
    // Deprecated since Linux 5.4 and refused by newer kernels, which count it all as memory.
    view.warn(`${path}.${key}: kernel memory has no limit of its own in newer kernels`);
    if (view.has(file)) writes.push({ file, value: String(memory[key]), optional: true });
  }
  const swappiness = memory.swappiness;
  if (swappiness !== undefined && swappiness !== unlimited) {
    if (swappiness < 0n || swappiness > maximumSwappiness)
      refuse(`${path}.swappiness`, `${swappiness} is not 0 to 100`);
    writes.push({ file: "memory.swappiness", value: String(swappiness) });
  }
  if (memory.disableOOMKiller) writes.push({ file: "memory.oom_control", value: "1" });
  return writes;
}

const asMax = (value: bigint): string => (value === unlimited ? "max" : String(value));

function writesV2(memory: Memory, view: ControllerView, path: string): CgroupWrite[] {
  const limit = memory.limit ?? 0n;
  const both = memory.swap ?? 0n;
  if (memory.checkBeforeUpdate) checkUsage(limit, both, view, path);
  const writes: CgroupWrite[] = [];
  const swap = swapOnly(limit, both, path);
  if (swap !== undefined) {
    const file = { file: "memory.swap.max", value: asMax(swap) };
    // Without swap accounting there is no file, and "none" and "all of it" are true anyway.
    writes.push(swap > 0n ? file : { ...file, optional: true });
  }
  if (limit !== 0n) writes.push({ file: "memory.max", value: asMax(limit) });
  if (memory.reservation) writes.push({ file: "memory.low", value: asMax(memory.reservation) });
  const without: (keyof Memory)[] = ["kernel", "kernelTCP", "disableOOMKiller"];
  if (memory.swappiness !== undefined && memory.swappiness !== unlimited) without.push("swappiness");
  for (const key of without) if (memory[key]) view.warn(`${path}.${key}: has no effect on cgroup v2`);
  return writes;
}

export const memory: Controller = {
  name: "memory",
  member: "memory",
  writes(resources, view) {
    if (!resources.memory) return [];
    const path = `${view.path}.memory`;
    check(resources.memory, path);
    return view.version === 1 ? writesV1(resources.memory, view, path) : writesV2(resources.memory, view, path);
  },
};
