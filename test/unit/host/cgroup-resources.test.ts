import { describe, expect, test } from "vitest";
import { blkio, ioWeight } from "../../../src/host/cgroup/controllers/blkio.js";
import type { Controller, ControllerView } from "../../../src/host/cgroup/controllers/controller.js";
import { cpu, weightFromShares } from "../../../src/host/cgroup/controllers/cpu.js";
import { cpuset } from "../../../src/host/cgroup/controllers/cpuset.js";
import { deviceWrites } from "../../../src/host/cgroup/controllers/devices.js";
import { hugetlb } from "../../../src/host/cgroup/controllers/hugetlb.js";
import { memory, swapOnly } from "../../../src/host/cgroup/controllers/memory.js";
import { netCls, netPrio } from "../../../src/host/cgroup/controllers/network.js";
import { pids } from "../../../src/host/cgroup/controllers/pids.js";
import { rdma } from "../../../src/host/cgroup/controllers/rdma.js";
import { unifiedWrites } from "../../../src/host/cgroup/controllers/unified.js";
import { checkResources } from "../../../src/host/oci/resources.js";

interface Surroundings {
  readonly files?: Record<string, string>;
  readonly lacks?: readonly string[];
}

/** "file=value" a write, with "?" behind the file of one that may fail; and the warnings. */
function written(
  controller: Controller,
  version: 1 | 2,
  resources: object,
  { files = {}, lacks = [] }: Surroundings = {},
) {
  const warnings: string[] = [];
  const view: ControllerView = {
    version,
    path: "r",
    read: (file) => files[file],
    has: (file) => !lacks.includes(file),
    warn: (message) => warnings.push(message),
  };
  const writes = controller.writes(checkResources(resources, "r"), view);
  return { writes: writes.map(({ file, value, optional }) => `${file}${optional ? "?" : ""}=${value}`), warnings };
}

describe("conversions", () => {
  test.each([
    [0, 0],
    [1, 1],
    [2, 1],
    [3, 2],
    [10, 4],
    [102, 17],
    [128, 21],
    [256, 35],
    [512, 59],
    [768, 80],
    [1000, 99],
    [1024, 100],
    [1025, 101],
    [2048, 174],
    [4096, 303],
    [8192, 532],
    [10240, 639],
    [65536, 3023],
    [262143, 10000],
    [262144, 10000],
  ])("%i shares weigh %i", (shares, weight) => {
    expect(weightFromShares(BigInt(shares))).toBe(weight);
  });

  test.each([
    [10, 1],
    [11, 11],
    [100, 910],
    [500, 4950],
    [505, 5000],
    [999, 9989],
    [1000, 10000],
  ])("blkio weight %i is io weight %i", (weight, io) => {
    expect(ioWeight(weight)).toBe(io);
  });

  test.each<[bigint, bigint, bigint | undefined]>([
    [0n, 0n, undefined],
    [-1n, 0n, -1n],
    [0n, -1n, -1n],
    [300n, -1n, 300n],
    [-1n, -1n, -1n],
    [-1n, 1000n, -1n],
    [1000n, 1000n, 0n],
    [500n, 200n, 300n],
  ])("memory and swap %i with memory %i is swap %s", (both, limit, swap) => {
    expect(swapOnly(limit, both, "r")).toBe(swap);
  });

  test.each([
    [300n, 400n],
    [300n, 0n],
    [300n, -300n],
  ])("memory and swap %i with memory %i is refused", (both, limit) => {
    expect(() => swapOnly(limit, both, "r")).toThrow(/^r\.(swap|limit)/);
  });
});

const limits = (limit?: number, swap?: number) => ({
  memory: { ...(limit !== undefined && { limit }), ...(swap !== undefined && { swap }) },
});

describe("memory v1", () => {
  const before = {
    files: {
      "memory.limit_in_bytes": "1000\n",
      "memory.usage_in_bytes": "900\n",
      "memory.max_usage_in_bytes": "950\n",
    },
  };
  test.each([
    ["nothing", {}, []],
    ["limit", limits(100), ["memory.limit_in_bytes=100"]],
    [
      "both, shrinking: memory first",
      limits(100, 200),
      ["memory.limit_in_bytes=100", "memory.memsw.limit_in_bytes=200"],
    ],
    [
      "both, growing: memory and swap first",
      limits(2000, 3000),
      ["memory.memsw.limit_in_bytes=3000", "memory.limit_in_bytes=2000"],
    ],
    ["unlimited swap first", limits(100, -1), ["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=100"]],
    [
      "lifting the limit lifts that of swap",
      limits(-1),
      ["memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1"],
    ],
    ["zeroes", limits(0, 0), []],
    ["swap alone", limits(undefined, 300), ["memory.memsw.limit_in_bytes=300"]],
  ])("%s", (_, resources, writes) => {
    expect(written(memory, 1, resources, before).writes).toEqual(writes);
  });

  test("in a new cgroup memory comes first, as its limit is none", () => {
    expect(written(memory, 1, limits(100, 200)).writes).toEqual([
      "memory.limit_in_bytes=100",
      "memory.memsw.limit_in_bytes=200",
    ]);
  });

  test("without swap accounting unlimited swap is no write", () => {
    expect(written(memory, 1, limits(-1, -1), { lacks: ["memory.memsw.limit_in_bytes"] }).writes).toEqual([
      "memory.limit_in_bytes=-1",
    ]);
  });

  test("the rest", () => {
    const { writes, warnings } = written(memory, 1, {
      memory: { reservation: 5, kernel: 6, kernelTCP: 7, swappiness: 0, disableOOMKiller: true },
    });
    expect(writes).toEqual([
      "memory.soft_limit_in_bytes=5",
      "memory.kmem.limit_in_bytes?=6",
      "memory.kmem.tcp.limit_in_bytes?=7",
      "memory.swappiness=0",
      "memory.oom_control=1",
    ]);
    expect(warnings).toHaveLength(2);
  });

  test.each([
    [limits(-2), "r.memory.limit"],
    [limits(300, 200), "r.memory.swap"],
    [{ memory: { swappiness: 101 } }, "r.memory.swappiness"],
  ])("%j is refused", (resources, path) => {
    expect(() => written(memory, 1, resources)).toThrow(path);
  });
});

describe("memory v2", () => {
  test.each([
    ["limit", limits(100), ["memory.max=100"]],
    ["swap before the limit", limits(100, 300), ["memory.swap.max=200", "memory.max=100"]],
    ["equal: no swap, where there is a file for it", limits(100, 100), ["memory.swap.max?=0", "memory.max=100"]],
    ["unlimited", limits(-1), ["memory.swap.max?=max", "memory.max=max"]],
    ["reservation", { memory: { reservation: 7 } }, ["memory.low=7"]],
    ["swappiness unset", { memory: { swappiness: -1 } }, []],
  ])("%s", (_, resources, writes) => {
    const result = written(memory, 2, resources);
    expect(result.writes).toEqual(writes);
    expect(result.warnings).toEqual([]);
  });

  test("what v2 does not have is said", () => {
    const { writes, warnings } = written(memory, 2, { memory: { swappiness: 60, kernel: 1, disableOOMKiller: true } });
    expect(writes).toEqual([]);
    expect(warnings).toEqual([
      "r.memory.kernel: has no effect on cgroup v2",
      "r.memory.disableOOMKiller: has no effect on cgroup v2",
      "r.memory.swappiness: has no effect on cgroup v2",
    ]);
  });

  test("a limit at or below what is in use is refused if asked to look", () => {
    const files = { "memory.current": "500\n" };
    const checked = (limit: number) => written(memory, 2, { memory: { limit, checkBeforeUpdate: true } }, { files });
    expect(() => checked(500)).toThrow("500 is not above the 500 bytes in use");
    expect(checked(501).writes).toEqual(["memory.max=501"]);
    expect(written(memory, 2, { memory: { limit: 5, checkBeforeUpdate: true } }).writes).toEqual(["memory.max=5"]);
  });
});

describe("cpu", () => {
  test.each([
    ["nothing", {}, []],
    ["shares", { shares: 512 }, ["cpu.shares=512"]],
    ["quota", { quota: -1 }, ["cpu.cfs_quota_us=-1"]],
    [
      "quota between two tries of the period",
      { quota: 10, period: 20 },
      ["cpu.cfs_period_us?=20", "cpu.cfs_quota_us=10", "cpu.cfs_period_us=20"],
    ],
    ["burst alone", { burst: 0 }, ["cpu.cfs_burst_us=0"]],
    [
      "real time",
      { realtimeRuntime: 1, realtimePeriod: 2 },
      ["cpu.rt_period_us?=2", "cpu.rt_runtime_us=1", "cpu.rt_period_us=2"],
    ],
    ["idle", { idle: 1 }, ["cpu.idle=1"]],
  ])("v1: %s", (_, resources, writes) => {
    expect(written(cpu, 1, { cpu: resources }).writes).toEqual(writes);
  });

  const files = { "cpu.max": "30000 100000\n" };
  test.each([
    ["shares as weight", { shares: 1024 }, {}, ["cpu.weight=100"]],
    ["both", { quota: 50000, period: 200000 }, {}, ["cpu.max=50000 200000"]],
    ["quota alone keeps the period", { quota: 50000 }, { files }, ["cpu.max=50000"]],
    ["period alone keeps the quota", { period: 50000 }, { files }, ["cpu.max=30000 50000"]],
    ["period alone in a new cgroup", { period: 50000 }, {}, ["cpu.max=max 50000"]],
    ["no quota", { quota: -1 }, { files }, ["cpu.max=max"]],
    ["burst around the quota", { burst: 5, quota: 10 }, {}, ["cpu.max.burst?=5", "cpu.max=10", "cpu.max.burst=5"]],
    ["idle has no weight", { idle: 1, shares: 2 }, {}, ["cpu.idle=1"]],
    ["not idle has one", { idle: 0, shares: 1024 }, {}, ["cpu.idle=0", "cpu.weight=100"]],
  ])("v2: %s", (_, resources, surroundings, writes) => {
    expect(written(cpu, 2, { cpu: resources }, surroundings).writes).toEqual(writes);
  });

  test("v2 has no real time", () => {
    expect(written(cpu, 2, { cpu: { realtimeRuntime: 5 } }).warnings).toEqual([
      "r.cpu.realtimeRuntime: has no effect on cgroup v2",
    ]);
  });
});

test("cpuset, also where v1 was mounted without prefixes", () => {
  const resources = { cpu: { cpus: "0-1", mems: "0" } };
  expect(written(cpuset, 2, resources).writes).toEqual(["cpuset.cpus=0-1", "cpuset.mems=0"]);
  expect(written(cpuset, 1, resources, { lacks: ["cpuset.cpus", "cpuset.mems"] }).writes).toEqual([
    "cpus=0-1",
    "mems=0",
  ]);
});

test.each([
  [undefined, []],
  [0, ["pids.max=1"]],
  [64, ["pids.max=64"]],
  [-1, ["pids.max=max"]],
  [-5, ["pids.max=max"]],
])("pids %s", (limit, writes) => {
  expect(written(pids, 2, { pids: { limit } }).writes).toEqual(writes);
});

describe("block devices", () => {
  const weights = {
    blockIO: { weight: 500, leafWeight: 10, weightDevice: [{ major: 8, minor: 0, weight: 100, leafWeight: 20 }] },
  };
  const rates = {
    blockIO: {
      throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }],
      throttleWriteIOPSDevice: [{ major: 8, minor: 16, rate: 0 }],
    },
  };
  test("v1 weights with CFQ and with BFQ", () => {
    expect(written(blkio, 1, weights).writes).toEqual([
      "blkio.weight=500",
      "blkio.leaf_weight=10",
      "blkio.weight_device=8:0 100",
      "blkio.leaf_weight_device=8:0 20",
    ]);
    expect(written(blkio, 1, weights, { lacks: ["blkio.weight"] }).writes[0]).toBe("blkio.bfq.weight=500");
  });
  test("v2 weights with BFQ and without", () => {
    expect(written(blkio, 2, weights).writes).toEqual(["io.bfq.weight=500", "io.bfq.weight=8:0 100"]);
    const { writes, warnings } = written(blkio, 2, weights, { lacks: ["io.bfq.weight"] });
    expect(writes).toEqual(["io.weight=4950", "io.weight=8:0 910"]);
    expect(warnings).toEqual(["r.blockIO.leafWeight: has no effect on cgroup v2"]);
  });
  test("throttles", () => {
    expect(written(blkio, 1, rates).writes).toEqual([
      "blkio.throttle.read_bps_device=8:0 1",
      "blkio.throttle.write_iops_device=8:16 0",
    ]);
    expect(written(blkio, 2, rates).writes).toEqual(["io.max=8:0 rbps=1", "io.max=8:16 wiops=max"]);
  });
  test.each([9, 1001])("a weight of %i is refused", (weight) => {
    expect(() => written(blkio, 2, { blockIO: { weight } })).toThrow("r.blockIO.weight");
  });
});

test("huge pages, reservations where the kernel counts them", () => {
  const resources = { hugepageLimits: [{ pageSize: "2MB", limit: 4 }] };
  expect(written(hugetlb, 1, resources).writes).toEqual([
    "hugetlb.2MB.limit_in_bytes=4",
    "hugetlb.2MB.rsvd.limit_in_bytes?=4",
  ]);
  expect(written(hugetlb, 2, resources).writes).toEqual(["hugetlb.2MB.max=4", "hugetlb.2MB.rsvd.max?=4"]);
  expect(() => written(hugetlb, 2, { hugepageLimits: [{ pageSize: "../x", limit: 4 }] })).toThrow("pageSize");
});

test("network and rdma", () => {
  const network = { network: { classID: 7, priorities: [{ name: "eth0", priority: 3 }] } };
  expect(written(netCls, 1, network).writes).toEqual(["net_cls.classid=7"]);
  expect(written(netPrio, 1, network).writes).toEqual(["net_prio.ifpriomap=eth0 3"]);
  expect(written(rdma, 2, { rdma: { mlx: { hcaHandles: 3 }, off: {} } }).writes).toEqual(["rdma.max=mlx hca_handle=3"]);
});

describe("devices v1", () => {
  const rules = (devices: object[]) =>
    deviceWrites(checkResources({ devices }, "r").devices, "r").map(({ file, value }) => `${file} ${value}`);
  test("from nothing, the container's rules, then what everybody may", () => {
    const lines = rules([
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 1, minor: 3, access: "rwm" },
      { allow: true, type: "u", major: 136, access: "rw" },
      { allow: false, type: "b", major: 8, minor: -1, access: "w" },
    ]);
    expect(lines.slice(0, 5)).toEqual([
      "devices.deny a",
      "devices.deny a",
      "devices.allow c 1:3 rwm",
      "devices.allow c 136:* rw",
      "devices.deny b 8:* w",
    ]);
    expect(lines.slice(5)).toEqual(
      [
        "c *:* m",
        "b *:* m",
        "c 1:3 rwm",
        "c 1:5 rwm",
        "c 1:7 rwm",
        "c 1:8 rwm",
        "c 1:9 rwm",
        "c 5:0 rwm",
        "c 5:2 rwm",
        "c 136:* rwm",
        "c 10:200 rwm",
      ].map((line) => `devices.allow ${line}`),
    );
  });
  test.each([
    [{ allow: true, type: "c" }, "r.devices[0].access"],
    [{ allow: true, type: "c", access: "rx" }, "r.devices[0].access"],
    [{ allow: true, type: "p", access: "r" }, "r.devices[0].type"],
  ])("%j is refused", (rule, path) => {
    expect(() => rules([rule])).toThrow(path);
  });
});

describe("unified", () => {
  const lines = (unified: Record<string, string>) =>
    unifiedWrites(checkResources({ unified }, "r"), ["memory", "io"], "r").map(({ file, value }) => `${file}=${value}`);
  test("several lines are several writes", () => {
    expect(lines({ "memory.high": "5", "io.max": "8:0 rbps=1\n8:16 rbps=2\n", "cgroup.max.depth": "3" })).toEqual([
      "memory.high=5",
      "io.max=8:0 rbps=1",
      "io.max=8:16 rbps=2",
      "cgroup.max.depth=3",
    ]);
  });
  test.each([
    ["../memory.max", "is not the name of a file"],
    ["memory", "is not of the form CONTROLLER.PARAMETER"],
    ["hugetlb.2MB.max", "the hugetlb controller is not available"],
  ])("%s is refused", (key, words) => {
    expect(() => lines({ [key]: "1" })).toThrow(words);
  });
});
