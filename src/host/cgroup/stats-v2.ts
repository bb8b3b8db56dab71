import type {
  CPUStat,
  HugeTlbStat,
  IOStat,
  MemoryEvents,
  MemoryStat,
  Metrics,
} from "../../gen/containerd/cgroups/v2/metrics.js";
import { keyValues, nestedKeyValues, wholeNumber } from "./key-values.js";
import { parsePressure } from "./pressure.js";
import { parseRdma } from "./rdma-stats.js";

/** A file of the cgroup; undefined where there is none. */
export type ReadFile = (file: string) => string | undefined;

const maximum = 2n ** 64n - 1n;

/** "max" is what containerd shows as the greatest number; no file as 0. */
function number(text: string | undefined): bigint {
  return text?.trim() === "max" ? maximum : (wholeNumber(text) ?? 0n);
}

function cpu(read: ReadFile): CPUStat {
  const stat = keyValues(read("cpu.stat"));
  const value = (key: string): bigint => stat.get(key) ?? 0n;
  return {
    usageUsec: value("usage_usec"),
    userUsec: value("user_usec"),
    systemUsec: value("system_usec"),
    nrPeriods: value("nr_periods"),
    nrThrottled: value("nr_throttled"),
    throttledUsec: value("throttled_usec"),
    psi: parsePressure(read("cpu.pressure")),
    nrBursts: value("nr_bursts"),
    burstUsec: value("burst_usec"),
  };
}

function memory(read: ReadFile): MemoryStat {
  const stat = keyValues(read("memory.stat"));
  const value = (key: string): bigint => stat.get(key) ?? 0n;
  return {
    anon: value("anon"),
    file: value("file"),
    kernelStack: value("kernel_stack"),
    slab: value("slab"),
    sock: value("sock"),
    shmem: value("shmem"),
    fileMapped: value("file_mapped"),
    fileDirty: value("file_dirty"),
    fileWriteback: value("file_writeback"),
    anonThp: value("anon_thp"),
    inactiveAnon: value("inactive_anon"),
    activeAnon: value("active_anon"),
    inactiveFile: value("inactive_file"),
    activeFile: value("active_file"),
    unevictable: value("unevictable"),
    slabReclaimable: value("slab_reclaimable"),
    slabUnreclaimable: value("slab_unreclaimable"),
    pgfault: value("pgfault"),
    pgmajfault: value("pgmajfault"),
    // Split into anonymous and file pages since Linux 5.9; the sum is what these meant.
    workingsetRefault:
      value("workingset_refault") || value("workingset_refault_anon") + value("workingset_refault_file"),
    workingsetActivate:
      value("workingset_activate") || value("workingset_activate_anon") + value("workingset_activate_file"),
    workingsetNodereclaim: value("workingset_nodereclaim"),
    pgrefill: value("pgrefill"),
    pgscan: value("pgscan"),
    pgsteal: value("pgsteal"),
    pgactivate: value("pgactivate"),
    pgdeactivate: value("pgdeactivate"),
    pglazyfree: value("pglazyfree"),
    pglazyfreed: value("pglazyfreed"),
    thpFaultAlloc: value("thp_fault_alloc"),
    thpCollapseAlloc: value("thp_collapse_alloc"),
    usage: number(read("memory.current")),
    usageLimit: number(read("memory.max")),
    swapUsage: number(read("memory.swap.current")),
    swapLimit: number(read("memory.swap.max")),
    maxUsage: number(read("memory.peak")),
    swapMaxUsage: number(read("memory.swap.peak")),
    psi: parsePressure(read("memory.pressure")),
    workingsetRefaultAnon: value("workingset_refault_anon"),
    workingsetRefaultFile: value("workingset_refault_file"),
    workingsetActivateAnon: value("workingset_activate_anon"),
    workingsetActivateFile: value("workingset_activate_file"),
  };
}

function memoryEvents(read: ReadFile): MemoryEvents | undefined {
  const text = read("memory.events");
  if (text === undefined) return undefined;
  const events = keyValues(text);
  const value = (key: string): bigint => events.get(key) ?? 0n;
  return {
    low: value("low"),
    high: value("high"),
    max: value("max"),
    oom: value("oom"),
    oomKill: value("oom_kill"),
    oomGroupKill: value("oom_group_kill"),
  };
}

function io(read: ReadFile): IOStat {
  const usage = [...nestedKeyValues(read("io.stat"))].flatMap(([device, values]) => {
    const [major, minor] = device.split(":").map((text) => wholeNumber(text));
    if (major === undefined || minor === undefined) return [];
    const value = (key: string): bigint => wholeNumber(values.get(key)) ?? 0n;
    return [
      { major, minor, rbytes: value("rbytes"), wbytes: value("wbytes"), rios: value("rios"), wios: value("wios") },
    ];
  });
  return { usage, psi: parsePressure(read("io.pressure")) };
}

function hugetlb(read: ReadFile, sizes: readonly string[]): HugeTlbStat[] {
  return sizes.flatMap((pagesize) => {
    const current = read(`hugetlb.${pagesize}.current`);
    if (current === undefined) return [];
    return [
      {
        current: number(current),
        max: number(read(`hugetlb.${pagesize}.max`)),
        pagesize,
        failcnt: keyValues(read(`hugetlb.${pagesize}.events`)).get("max") ?? 0n,
      },
    ];
  });
}

/** The statistics of a v2 cgroup. A controller that is off has no files and gives zeroes. */
export function statsV2(read: ReadFile, pageSizes: readonly string[]): Metrics {
  return {
    pids: { current: number(read("pids.current")), limit: number(read("pids.max")) },
    cpu: cpu(read),
    memory: memory(read),
    rdma: { current: parseRdma(read("rdma.current")), limit: parseRdma(read("rdma.max")) },
    io: io(read),
    hugetlb: hugetlb(read, pageSizes),
    memoryEvents: memoryEvents(read),
    network: [],
  };
}
