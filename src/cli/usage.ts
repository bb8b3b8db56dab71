import { Metrics as MetricsV1 } from "../gen/containerd/cgroups/v1/metrics.js";
import { Metrics as MetricsV2 } from "../gen/containerd/cgroups/v2/metrics.js";
import type { Any } from "../gen/google/protobuf/any.js";
import { isUnlimited } from "./quantities.js";

/** What a container uses, whichever version of cgroups tells it. */
export interface Usage {
  readonly cpuNanoseconds: bigint;
  readonly memoryBytes: bigint;
  /** Page cache that the kernel takes back without a kill; not counted as use by most tools. */
  readonly reclaimableBytes: bigint;
  /** 0n: none; so for `pidsLimit`. */
  readonly memoryLimitBytes: bigint;
  readonly pids: bigint;
  readonly pidsLimit: bigint;
  readonly oomKills: bigint;
  readonly readBytes: bigint;
  readonly writtenBytes: bigint;
}

export function usageOf(stats: Any | undefined): Usage | undefined {
  if (stats?.typeUrl === MetricsV2.$type) return fromV2(MetricsV2.decode(stats.value));
  if (stats?.typeUrl === MetricsV1.$type) return fromV1(MetricsV1.decode(stats.value));
  return undefined;
}

function fromV2({ cpu, memory, pids, memoryEvents, io }: MetricsV2): Usage {
  const entries = io?.usage ?? [];
  return {
    cpuNanoseconds: (cpu?.usageUsec ?? 0n) * 1000n,
    memoryBytes: memory?.usage ?? 0n,
    reclaimableBytes: memory?.inactiveFile ?? 0n,
    memoryLimitBytes: limit(memory?.usageLimit),
    pids: pids?.current ?? 0n,
    pidsLimit: limit(pids?.limit),
    oomKills: memoryEvents?.oomKill ?? 0n,
    readBytes: entries.reduce((sum, { rbytes }) => sum + rbytes, 0n),
    writtenBytes: entries.reduce((sum, { wbytes }) => sum + wbytes, 0n),
  };
}

function fromV1({ cpu, memory, pids, memoryOomControl, blkio }: MetricsV1): Usage {
  const transferred = (op: string) =>
    (blkio?.ioServiceBytesRecursive ?? [])
      .filter((entry) => entry.op.toLowerCase() === op)
      .reduce((sum, { value }) => sum + value, 0n);
  return {
    cpuNanoseconds: cpu?.usage?.total ?? 0n,
    memoryBytes: memory?.usage?.usage ?? 0n,
    reclaimableBytes: memory?.totalInactiveFile ?? 0n,
    memoryLimitBytes: limit(memory?.usage?.limit),
    pids: pids?.current ?? 0n,
    pidsLimit: limit(pids?.limit),
    oomKills: memoryOomControl?.oomKill ?? 0n,
    readBytes: transferred("read"),
    writtenBytes: transferred("write"),
  };
}

function limit(value: bigint | undefined): bigint {
  return value === undefined || isUnlimited(value) ? 0n : value;
}
