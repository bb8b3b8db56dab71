import { Metrics as MetricsV1 } from "../gen/containerd/cgroups/v1/metrics.js";
import { Metrics as MetricsV2 } from "../gen/containerd/cgroups/v2/metrics.js";
import type { ContainerStats } from "../task/ports.js";

/**
 * Statistics in the form of `runc events --stats`, which engines read. Counters beyond 2^53 lose their last digits there, as
 * in every reader of JSON that knows only doubles.
 */
export function usageOf({ typeUrl, value }: ContainerStats): object {
  return typeUrl === MetricsV2.$type ? unified(MetricsV2.decode(value)) : legacy(MetricsV1.decode(value));
}

const nanosecondsPerMicrosecond = 1000n;

function legacy({ cpu, memory, pids, hugetlb, blkio }: MetricsV1): object {
  return {
    cpu: {
      usage: {
        total: cpu?.usage?.total,
        percpu: cpu?.usage?.perCpu,
        kernel: cpu?.usage?.kernel,
        user: cpu?.usage?.user,
      },
      throttling: cpu?.throttling,
    },
    memory: {
      cache: memory?.cache,
      usage: memory?.usage,
      swap: memory?.swap,
      kernel: memory?.kernel,
      kernelTCP: memory?.kernelTcp,
      raw: memory && numbersOf(memory),
    },
    pids,
    blkio,
    hugetlb: Object.fromEntries(hugetlb.map(({ pagesize, ...entry }) => [pagesize, entry])),
  };
}

function unified({ cpu, memory, memoryEvents, pids, hugetlb, io }: MetricsV2): object {
  const microseconds = (count: bigint | undefined) => (count ?? 0n) * nanosecondsPerMicrosecond;
  return {
    cpu: {
      usage: {
        total: microseconds(cpu?.usageUsec),
        kernel: microseconds(cpu?.systemUsec),
        user: microseconds(cpu?.userUsec),
      },
      throttling: {
        periods: cpu?.nrPeriods,
        throttledPeriods: cpu?.nrThrottled,
        throttledTime: microseconds(cpu?.throttledUsec),
      },
    },
    memory: {
      cache: memory?.file,
      usage: { usage: memory?.usage, limit: memory?.usageLimit, max: memory?.maxUsage, failcnt: memoryEvents?.max },
      swap: { usage: memory?.swapUsage, limit: memory?.swapLimit },
      raw: memory && numbersOf(memory),
    },
    pids,
    blkio: {
      ioServiceBytesRecursive: io?.usage.flatMap(({ major, minor, rbytes, wbytes }) => [
        { major, minor, op: "Read", value: rbytes },
        { major, minor, op: "Write", value: wbytes },
      ]),
    },
    hugetlb: Object.fromEntries(hugetlb.map(({ pagesize, current, max }) => [pagesize, { usage: current, max }])),
  };
}

function numbersOf(message: object): object {
  return Object.fromEntries(Object.entries(message).filter(([, value]) => typeof value === "bigint"));
}
