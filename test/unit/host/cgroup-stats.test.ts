// Statistics from files captured on Linux 6.12 (v2) and 6.18 (v1), each of a cgroup in which a process was OOM-killed.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Metrics as MetricsV1 } from "../../../src/gen/containerd/cgroups/v1/metrics.js";
import { Metrics as MetricsV2 } from "../../../src/gen/containerd/cgroups/v2/metrics.js";
import { hugepageSize } from "../../../src/host/cgroup/hugepages.js";
import { keyValues, wholeNumber } from "../../../src/host/cgroup/key-values.js";
import { readStats } from "../../../src/host/cgroup/stats.js";
import { statsV1 } from "../../../src/host/cgroup/stats-v1.js";
import { statsV2 } from "../../../src/host/cgroup/stats-v2.js";

const load = (name: string): Record<string, string> =>
  JSON.parse(readFileSync(new URL(`../../fixtures/cgroup/${name}`, import.meta.url), "utf8"));
const v2 = load("v2-files.json");
const v1 = load("v1-files.json");
const maximum = 2n ** 64n - 1n;

/** The number behind a key of a captured file, by other means than the code under test. */
const captured = (text: string | undefined, key: string): bigint => {
  const match = new RegExp(`^${key} (\\d+)$`, "m").exec(text ?? "");
  if (!match) throw new Error(`no ${key} in the captured file`);
  return BigInt(match[1] ?? "");
};

describe("v2", () => {
  const metrics = statsV2((file) => v2[file], ["2MB"]);

  test("memory", () => {
    expect(metrics.memory).toMatchObject({
      usage: BigInt(v2["memory.current"] ?? ""),
      usageLimit: 33554432n,
      maxUsage: 33554432n,
      swapLimit: 0n,
      anon: captured(v2["memory.stat"], "anon"),
      inactiveFile: captured(v2["memory.stat"], "inactive_file"),
      pgmajfault: captured(v2["memory.stat"], "pgmajfault"),
      thpFaultAlloc: captured(v2["memory.stat"], "thp_fault_alloc"),
      workingsetRefault:
        captured(v2["memory.stat"], "workingset_refault_anon") + captured(v2["memory.stat"], "workingset_refault_file"),
    });
    expect(metrics.memory?.psi?.some?.total).toBe(BigInt(/total=(\d+)/.exec(v2["memory.pressure"] ?? "")?.[1] ?? ""));
    expect(metrics.memoryEvents).toEqual({ low: 0n, high: 0n, max: 237n, oom: 1n, oomKill: 1n, oomGroupKill: 0n });
  });

  test("cpu, pids, io", () => {
    expect(metrics.cpu).toMatchObject({
      usageUsec: 4986993n,
      nrPeriods: 254n,
      nrThrottled: 249n,
      throttledUsec: 25412670n,
    });
    expect(metrics.pids?.limit).toBe(64n);
    expect(metrics.io?.usage).toEqual([{ major: 254n, minor: 0n, rbytes: 2019328n, wbytes: 0n, rios: 79n, wios: 0n }]);
  });

  test("survive the wire", () => {
    expect(MetricsV2.decode(MetricsV2.encode(metrics).finish())).toEqual(metrics);
  });

  test("without any controller there are zeroes, no pressure and no events", () => {
    const empty = statsV2(() => undefined, ["2MB"]);
    expect(empty.memory?.usage).toBe(0n);
    expect(empty.memoryEvents).toBeUndefined();
    expect(empty.cpu?.psi).toBeUndefined();
    expect(empty.hugetlb).toEqual([]);
    expect(empty.pids).toEqual({ current: 0n, limit: 0n });
  });

  test("other files", () => {
    const files: Record<string, string> = {
      "pids.max": "max\n",
      "rdma.max": "mlx4_0 hca_handle=2 hca_object=max\n",
      "hugetlb.2MB.current": "4096\n",
      "hugetlb.2MB.max": "max\n",
      "hugetlb.2MB.events": "max 3\n",
      "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 cost.usage=9\nbroken\n",
    };
    const other = statsV2((file) => files[file], ["2MB"]);
    expect(other.pids?.limit).toBe(maximum);
    expect(other.rdma?.limit).toEqual([{ device: "mlx4_0", hcaHandles: 2, hcaObjects: 2 ** 32 - 1 }]);
    expect(other.hugetlb).toEqual([{ current: 4096n, max: maximum, pagesize: "2MB", failcnt: 3n }]);
    expect(other.io?.usage).toHaveLength(1);
  });
});

describe("v1", () => {
  const metrics = statsV1((controller, file) => v1[`${controller}/${file}`], ["2MB"]);

  test("memory", () => {
    expect(metrics.memory).toMatchObject({
      rss: captured(v1["memory/memory.stat"], "rss"),
      totalCache: captured(v1["memory/memory.stat"], "total_cache"),
      pgPgIn: captured(v1["memory/memory.stat"], "pgpgin"),
      hierarchicalMemoryLimit: 33554432n,
      hierarchicalSwapLimit: 33554432n,
      usage: { limit: 33554432n, usage: BigInt(v1["memory/memory.usage_in_bytes"] ?? "") },
      swap: { limit: 33554432n },
    });
    expect(metrics.memoryOomControl).toEqual({ oomKillDisable: 0n, underOom: 0n, oomKill: 1n });
  });

  test("cpu, pids", () => {
    expect(metrics.cpu?.throttling).toEqual({ periods: 26n, throttledPeriods: 23n, throttledTime: 1444751238n });
    expect(metrics.cpu?.usage).toMatchObject({ user: 250_000_000n, kernel: 250_000_000n });
    expect(metrics.cpu?.usage?.total).toBe(BigInt(v1["cpuacct/cpuacct.usage"] ?? ""));
    expect(metrics.cpu?.usage?.perCpu).toHaveLength(
      (v1["cpuacct/cpuacct.usage_percpu"] ?? "").trim().split(" ").length,
    );
    expect(metrics.pids).toEqual({ current: 2n, limit: 64n });
  });

  test("survive the wire", () => {
    expect(MetricsV1.decode(MetricsV1.encode(metrics).finish())).toEqual(metrics);
  });

  test("block devices: the scheduler's files if they say something, else throttling's", () => {
    const files: Record<string, string> = {
      "blkio.throttle.io_serviced_recursive": "8:0 Read 3\n8:0 Write 4\nTotal 7\n",
      "blkio.throttle.io_service_bytes_recursive": "8:0 Read 4096\nTotal 4096\n",
      "blkio.bfq.io_serviced_recursive": "Total 0\n",
    };
    const read = (_: string, file: string) => files[file];
    expect(statsV1(read, []).blkio?.ioServicedRecursive).toEqual([
      { op: "Read", device: "", major: 8n, minor: 0n, value: 3n },
      { op: "Write", device: "", major: 8n, minor: 0n, value: 4n },
    ]);
    files["blkio.bfq.io_serviced_recursive"] = "8:0 Read 1\nTotal 1\n";
    files["blkio.bfq.sectors_recursive"] = "8:0 8\n";
    expect(statsV1(read, []).blkio).toMatchObject({
      ioServicedRecursive: [{ op: "Read", value: 1n }],
      sectorsRecursive: [{ op: "", value: 8n }],
    });
  });

  test("without memory there is no memory part: its usage would be read unchecked", () => {
    expect(statsV1(() => undefined, []).memory).toBeUndefined();
  });
});

test("numbers and keys", () => {
  expect(wholeNumber("18446744073709551615\n")).toBe(maximum);
  expect([wholeNumber("max"), wholeNumber("-1"), wholeNumber(""), wholeNumber(undefined)]).toEqual(
    Array(4).fill(undefined),
  );
  const values = keyValues("oom 5\noom_kill 2\nodd line here\nbad x\n");
  expect([...values]).toEqual([
    ["oom", 5n],
    ["oom_kill", 2n],
  ]);
});

test.each([
  ["hugepages-1048576kB", "1GB"],
  ["hugepages-2048kB", "2MB"],
  ["hugepages-64kB", "64KB"],
  ["nr_hugepages", undefined],
])("%s is %s", (name, size) => {
  expect(hugepageSize(name)).toBe(size);
});

test("a cgroup that is gone is NotFound", () => {
  const place = { version: 2, mountPoint: "/nosuch", directory: "/nosuch/x", controllers: [], options: "" } as const;
  expect(() => readStats({ mode: "v2", path: "/x", places: [place] })).toThrow(
    expect.objectContaining({ code: "not_found", message: "cgroup does not exist" }),
  );
});
