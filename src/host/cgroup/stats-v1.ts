import type {
  BlkIOEntry,
  BlkIOStat,
  CPUStat,
  HugetlbStat,
  MemoryEntry,
  MemoryOomControl,
  MemoryStat,
  Metrics,
} from "../../gen/containerd/cgroups/v1/metrics.js";
import { keyValues, wholeNumber } from "./key-values.js";
import { parseRdma } from "./rdma-stats.js";

/** A file of the container's cgroup in a controller's hierarchy; undefined where there is none. */
export type ReadControllerFile = (controller: string, file: string) => string | undefined;

// cpuacct.stat counts in USER_HZ, which is 100 wherever Linux runs containers.
const nanosecondsPerTick = 10_000_000n;
const maximum = 2n ** 64n - 1n;

const number = (text: string | undefined): bigint => (text?.trim() === "max" ? maximum : (wholeNumber(text) ?? 0n));

function cpu(read: ReadControllerFile): CPUStat {
  const throttling = keyValues(read("cpu", "cpu.stat"));
  const ticks = keyValues(read("cpuacct", "cpuacct.stat"));
  const perCpu = (read("cpuacct", "cpuacct.usage_percpu") ?? "")
    .split(/\s+/)
    .flatMap((text) => wholeNumber(text) ?? []);
  return {
    usage: {
      total: number(read("cpuacct", "cpuacct.usage")),
      kernel: (ticks.get("system") ?? 0n) * nanosecondsPerTick,
      user: (ticks.get("user") ?? 0n) * nanosecondsPerTick,
      perCpu,
    },
    throttling: {
      periods: throttling.get("nr_periods") ?? 0n,
      throttledPeriods: throttling.get("nr_throttled") ?? 0n,
      throttledTime: throttling.get("throttled_time") ?? 0n,
    },
  };
}

function entry(read: ReadControllerFile, prefix: string): MemoryEntry | undefined {
  const usage = read("memory", `${prefix}.usage_in_bytes`);
  if (usage === undefined) return undefined;
  return {
    limit: number(read("memory", `${prefix}.limit_in_bytes`)),
    usage: number(usage),
    max: number(read("memory", `${prefix}.max_usage_in_bytes`)),
    failcnt: number(read("memory", `${prefix}.failcnt`)),
  };
}

function memory(read: ReadControllerFile): MemoryStat | undefined {
  const usage = entry(read, "memory");
  if (!usage) return undefined;
  const stat = keyValues(read("memory", "memory.stat"));
  const value = (key: string): bigint => stat.get(key) ?? 0n;
  return {
    cache: value("cache"),
    rss: value("rss"),
    rssHuge: value("rss_huge"),
    mappedFile: value("mapped_file"),
    dirty: value("dirty"),
    writeback: value("writeback"),
    pgPgIn: value("pgpgin"),
    pgPgOut: value("pgpgout"),
    pgFault: value("pgfault"),
    pgMajFault: value("pgmajfault"),
    inactiveAnon: value("inactive_anon"),
    activeAnon: value("active_anon"),
    inactiveFile: value("inactive_file"),
    activeFile: value("active_file"),
    unevictable: value("unevictable"),
    hierarchicalMemoryLimit: value("hierarchical_memory_limit"),
    hierarchicalSwapLimit: value("hierarchical_memsw_limit"),
    totalCache: value("total_cache"),
    totalRss: value("total_rss"),
    totalRssHuge: value("total_rss_huge"),
    totalMappedFile: value("total_mapped_file"),
    totalDirty: value("total_dirty"),
    totalWriteback: value("total_writeback"),
    totalPgPgIn: value("total_pgpgin"),
    totalPgPgOut: value("total_pgpgout"),
    totalPgFault: value("total_pgfault"),
    totalPgMajFault: value("total_pgmajfault"),
    totalInactiveAnon: value("total_inactive_anon"),
    totalActiveAnon: value("total_active_anon"),
    totalInactiveFile: value("total_inactive_file"),
    totalActiveFile: value("total_active_file"),
    totalUnevictable: value("total_unevictable"),
    usage,
    swap: entry(read, "memory.memsw"),
    kernel: entry(read, "memory.kmem"),
    kernelTcp: entry(read, "memory.kmem.tcp"),
  };
}

function oomControl(read: ReadControllerFile): MemoryOomControl | undefined {
  const text = read("memory", "memory.oom_control");
  if (text === undefined) return undefined;
  const values = keyValues(text);
  return {
    oomKillDisable: values.get("oom_kill_disable") ?? 0n,
    underOom: values.get("under_oom") ?? 0n,
    oomKill: values.get("oom_kill") ?? 0n,
  };
}

function blkioEntries(text: string | undefined): BlkIOEntry[] {
  return (text ?? "").split("\n").flatMap((line) => {
    const words = line.split(" ").filter((word) => word !== "");
    const [device = "", ...rest] = words;
    const [major, minor] = device.split(":").map((part) => wholeNumber(part));
    const value = wholeNumber(rest.at(-1));
    if (major === undefined || minor === undefined || value === undefined) return [];
    return [{ op: rest.length > 1 ? (rest[0] ?? "") : "", device: "", major, minor, value }];
  });
}

// Which files there are depends on the scheduler: BFQ with and without its debug files, CFQ of old kernels, or throttling alone.
const blkioPrefixes = ["blkio.bfq.", "blkio."] as const;

function blkio(read: ReadControllerFile): BlkIOStat {
  const file = (name: string): string | undefined => read("blkio", name);
  const prefix = blkioPrefixes.find((each) => blkioEntries(file(`${each}io_serviced_recursive`)).length > 0);
  if (prefix === undefined) {
    const throttled = (name: string): BlkIOEntry[] =>
      blkioEntries(file(`blkio.throttle.${name}_recursive`) ?? file(`blkio.throttle.${name}`));
    return {
      ...emptyBlkio,
      ioServiceBytesRecursive: throttled("io_service_bytes"),
      ioServicedRecursive: throttled("io_serviced"),
    };
  }
  const entries = (name: string): BlkIOEntry[] => blkioEntries(file(`${prefix}${name}`));
  return {
    ioServiceBytesRecursive: entries("io_service_bytes_recursive"),
    ioServicedRecursive: entries("io_serviced_recursive"),
    ioQueuedRecursive: entries("io_queued_recursive"),
    ioServiceTimeRecursive: entries("io_service_time_recursive"),
    ioWaitTimeRecursive: entries("io_wait_time_recursive"),
    ioMergedRecursive: entries("io_merged_recursive"),
    ioTimeRecursive: entries("time_recursive"),
    sectorsRecursive: entries("sectors_recursive"),
  };
}

const emptyBlkio: BlkIOStat = {
  ioServiceBytesRecursive: [],
  ioServicedRecursive: [],
  ioQueuedRecursive: [],
  ioServiceTimeRecursive: [],
  ioWaitTimeRecursive: [],
  ioMergedRecursive: [],
  ioTimeRecursive: [],
  sectorsRecursive: [],
};

function hugetlb(read: ReadControllerFile, sizes: readonly string[]): HugetlbStat[] {
  return sizes.flatMap((pagesize) => {
    const usage = read("hugetlb", `hugetlb.${pagesize}.usage_in_bytes`);
    if (usage === undefined) return [];
    return [
      {
        usage: number(usage),
        max: number(read("hugetlb", `hugetlb.${pagesize}.max_usage_in_bytes`)),
        failcnt: number(read("hugetlb", `hugetlb.${pagesize}.failcnt`)),
        pagesize,
      },
    ];
  });
}

/** The statistics of a container's v1 cgroups. A hierarchy that is not mounted gives zeroes, or no part at all. */
export function statsV1(read: ReadControllerFile, pageSizes: readonly string[]): Metrics {
  return {
    hugetlb: hugetlb(read, pageSizes),
    pids: { current: number(read("pids", "pids.current")), limit: number(read("pids", "pids.max")) },
    cpu: cpu(read),
    memory: memory(read),
    blkio: blkio(read),
    rdma: { current: parseRdma(read("rdma", "rdma.current")), limit: parseRdma(read("rdma", "rdma.max")) },
    network: [],
    cgroupStats: undefined,
    memoryOomControl: oomControl(read),
  };
}
