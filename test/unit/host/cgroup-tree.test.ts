// What is decided by looking at a tree of cgroups, on plain files that stand for one.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { planCgroupBirth } from "../../../src/host/cgroup/birth.js";
import type { CgroupHost } from "../../../src/host/cgroup/detect.js";
import { membersBelow } from "../../../src/host/cgroup/members.js";
import { type Placement, placementOf } from "../../../src/host/cgroup/placement.js";
import { planCgroupUpdate } from "../../../src/host/cgroup/update.js";
import { encodeOps, hook } from "../../../src/host/core/ops.js";
import { checkResources } from "../../../src/host/oci/resources.js";
import { teardownRecord } from "../../../src/host/runtime/teardown.js";
import { showOps } from "../../support/decode-ops.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "vigil-cgroup-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function files(texts: Record<string, string>): void {
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
}

function v2(controllers: string): Placement {
  const host: CgroupHost = {
    mode: "v2",
    hierarchies: [{ version: 2, mountPoint: root, controllers: controllers.split(" "), options: "" }],
  };
  return placementOf(host, "/ns/c1");
}

function v1(...names: string[]): Placement {
  const hierarchies = names.map((name) => ({
    version: 1 as const,
    mountPoint: join(root, name),
    controllers: name === "systemd" ? [] : name.split(","),
    options: name === "systemd" ? "name=systemd" : name,
  }));
  return placementOf({ mode: "v1", hierarchies }, "/ns/c1");
}

function birth(placement: Placement, resources: object = {}) {
  const warnings: string[] = [];
  const plan = planCgroupBirth(placement, checkResources(resources, "r"), {
    path: "r",
    warn: (message) => warnings.push(message),
  });
  const script = showOps(encodeOps(plan.script)).map((line) =>
    // Its program has tests of its own.
    line.replaceAll(root, "").replace(/^(CGROUP_DEVICES "[^"]*").*/, "$1"),
  );
  return { ...plan, script, warnings };
}

const all = (list: readonly string[]) => list.map((path) => path.replace(root, ""));

describe("v2", () => {
  test("controllers are turned on from the root down, what is needed for certain", () => {
    files({ "cgroup.subtree_control": "memory pids\n" });
    const { script, cgroup } = birth(v2("cpu memory pids"), { cpu: { shares: 1024 }, memory: { limit: 5 } });
    expect(script).toEqual([
      'CGROUP_MKDIR "" "/ns/c1"',
      'CGROUP_EMPTY "/ns/c1"',
      'WRITE "/cgroup.subtree_control" "+cpu"',
      'WRITE? "/ns/cgroup.subtree_control" "+cpu +memory +pids"',
      'WRITE "/ns/cgroup.subtree_control" "+cpu +memory"',
      'WRITE? "/ns/cgroup.subtree_control" "+pids"',
      'WRITE "/ns/c1/memory.max" "5"',
      'WRITE "/ns/c1/cpu.weight" "100"',
      'CGROUP_DEVICES "/ns/c1"',
    ]);
    expect({ version: cgroup.version, directories: all(cgroup.directories) }).toEqual({
      version: 2,
      directories: ["/ns/c1"],
    });
  });

  test("where all is on there is nothing to do", () => {
    files({ "cgroup.subtree_control": "memory\n", "ns/cgroup.subtree_control": "memory\n" });
    expect(birth(v2("memory")).script).toEqual([
      'CGROUP_MKDIR "" "/ns/c1"',
      'CGROUP_EMPTY "/ns/c1"',
      'CGROUP_DEVICES "/ns/c1"',
    ]);
  });

  test("an ancestor with processes of its own: a limit is refused with the reason, none goes without", () => {
    files({
      "cgroup.subtree_control": "cpu memory\n",
      "ns/cgroup.type": "domain\n",
      "ns/cgroup.procs": "17\n",
      "ns/cgroup.subtree_control": "cpu\n",
    });
    expect(() => birth(v2("cpu memory"), { memory: { limit: 5 } })).toThrow(
      expect.objectContaining({
        code: "failed_precondition",
        message: expect.stringMatching(/turn on memory in .*\/ns\/.*Internal Process/),
      }),
    );
    const { watch, placement, script } = birth(v2("cpu memory"), { cpu: { shares: 2 } });
    expect(watch.version).toBe(0);
    expect(placement.places[0]?.controllers).toEqual(["cpu"]);
    expect(script.at(-2)).toBe('WRITE "/ns/c1/cpu.weight" "1"');
  });

  test("the real root may hold processes", () => {
    files({ "cgroup.procs": "1\n2\n", "cgroup.subtree_control": "\n" });
    expect(birth(v2("memory")).script).toContain('WRITE "/cgroup.subtree_control" "+memory"');
  });

  test("the own events decide, the ancestors' tell whose limit it was", () => {
    const { watch } = birth(v2("memory"));
    expect(all(watch.held)).toEqual([
      "/ns/c1/memory.events",
      "/ns/c1/memory.events.local",
      "/ns/memory.events",
      "/ns/memory.events.local",
    ]);
    expect(all(watch.snapshot).slice(-2)).toEqual(["/ns/memory.max", "/ns/memory.current"]);
    expect(all(watch.snapshot)).toContain("/ns/c1/memory.oom.group");
  });

  test("a controller that the host lacks is named, a value that means nothing is not missed", () => {
    expect(() => birth(v2("cpu"), { memory: { limit: 5 } })).toThrow(
      "r.memory: the memory cgroup controller is not available",
    );
    expect(() => birth(v2("cpu"), { blockIO: { weight: 10 } })).toThrow("the io cgroup controller");
    expect(() => birth(v2("cpu"), { network: { classID: 1 } })).toThrow("the net_cls cgroup controller");
    expect(
      birth(v2("cpu"), { memory: { limit: 0, swap: 0 }, blockIO: { weight: 0 }, devices: [{ access: "rwm" }] }).script,
    ).toHaveLength(5);
  });

  test("a frozen cgroup left by somebody would freeze the container", () => {
    files({ "ns/c1/cgroup.freeze": "1\n", "ns/c1/cgroup.procs": "" });
    expect(() => birth(v2("cpu"))).toThrow("container's cgroup is frozen");
  });
});

describe("v1", () => {
  test("a directory in every hierarchy, cpusets filled, devices closed", () => {
    files({ "cpuset/cpuset.cpus": "0-1\n", "cpuset/cpuset.mems": "0\n", "memory/memory.memsw.limit_in_bytes": "9\n" });
    const { script, cgroup, watch } = birth(v1("cpuset", "memory", "devices", "systemd"), { memory: { limit: 5 } });
    expect(script.slice(0, 10)).toEqual([
      'CGROUP_MKDIR "/cpuset" "/cpuset/ns/c1"',
      'CGROUP_INHERIT "/cpuset" "/cpuset/ns/c1" "cpuset.cpus"',
      'CGROUP_INHERIT "/cpuset" "/cpuset/ns/c1" "cpuset.mems"',
      'CGROUP_EMPTY "/cpuset/ns/c1"',
      'CGROUP_MKDIR "/memory" "/memory/ns/c1"',
      'CGROUP_EMPTY "/memory/ns/c1"',
      'CGROUP_MKDIR "/devices" "/devices/ns/c1"',
      'CGROUP_EMPTY "/devices/ns/c1"',
      'CGROUP_MKDIR "/systemd" "/systemd/ns/c1"',
      'CGROUP_EMPTY "/systemd/ns/c1"',
    ]);
    expect(script.slice(10, 12)).toEqual([
      'WRITE "/memory/ns/c1/memory.limit_in_bytes" "5"',
      'WRITE "/devices/ns/c1/devices.deny" "a"',
    ]);
    expect(cgroup).toMatchObject({ version: 1, directories: { length: 4 } });
    expect(watch.version).toBe(1);
    expect(all(watch.held)).toEqual(["/memory/ns/c1/memory.oom_control", "/memory/ns/memory.oom_control"]);
  });

  test("device rules without their hierarchy would protect nothing", () => {
    expect(() => birth(v1("memory"))).toThrow("the devices cgroup hierarchy is not mounted");
  });

  test("on a hybrid host the unified tree is used for what only it has, and only if that is wanted", () => {
    const legacy = v1("memory", "devices");
    const beside = { version: 2 as const, mountPoint: join(root, "unified"), directory: join(root, "unified/ns/c1") };
    const places = [...legacy.places, { ...beside, controllers: ["hugetlb"], options: "" }];
    const hybrid: Placement = { ...legacy, mode: "hybrid", places };
    expect(birth(hybrid).cgroup.directories).toHaveLength(2);
    const { script, cgroup } = birth(hybrid, { hugepageLimits: [{ pageSize: "2MB", limit: 0 }] });
    expect(all(cgroup.directories).at(-1)).toBe("/unified/ns/c1");
    expect(script).toContain('WRITE "/unified/ns/c1/hugetlb.2MB.max" "0"');
  });

  test("unified is for v2", () => {
    expect(() => birth(v1("memory", "devices"), { unified: { "memory.high": "1" } })).toThrow(
      "r.unified: this host has no cgroup v2",
    );
  });
});

describe("update", () => {
  const update = (placement: Placement, resources: object) => {
    const plan = planCgroupUpdate(placement, checkResources(resources, "r"), { path: "r", warn: () => undefined });
    const show = (ops: typeof plan.script) => showOps(encodeOps(ops)).map((line) => line.replaceAll(root, ""));
    return { script: show(plan.script), undo: show(plan.undo) };
  };

  test("undo puts back what was there, last first", () => {
    files({
      "ns/c1/cgroup.procs": "",
      "ns/c1/memory.max": "max\n",
      "ns/c1/memory.swap.max": "max\n",
      "ns/c1/cpu.max": "20000 100000\n",
      "ns/c1/cpuset.cpus": "\n",
      "ns/c1/pids.max": "64\n",
    });
    const { script, undo } = update(v2("memory cpu cpuset pids"), {
      memory: { limit: 5, swap: 5 },
      cpu: { quota: 1000, cpus: "0" },
      pids: { limit: 7 },
      devices: [{ allow: true, type: "c", access: "r" }],
    });
    expect(script).toEqual([
      'WRITE "/ns/c1/pids.max" "7"',
      'WRITE? "/ns/c1/memory.swap.max" "0"',
      'WRITE "/ns/c1/memory.max" "5"',
      'WRITE "/ns/c1/cpu.max" "1000"',
      'WRITE "/ns/c1/cpuset.cpus" "0"',
    ]);
    expect(undo).toEqual([
      'WRITE? "/ns/c1/cpuset.cpus" "\\n"',
      'WRITE? "/ns/c1/cpu.max" "20000 100000"',
      'WRITE? "/ns/c1/memory.max" "max"',
      'WRITE? "/ns/c1/memory.swap.max" "max"',
      'WRITE? "/ns/c1/pids.max" "64"',
    ]);
  });

  test("files of several lines go back line by line", () => {
    files({ "ns/c1/cgroup.procs": "", "ns/c1/io.max": "8:0 rbps=1 wbps=max\n8:16 rbps=2 wbps=max\n" });
    const { undo } = update(v2("io"), { blockIO: { throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 9 }] } });
    expect(undo).toEqual([
      'WRITE? "/ns/c1/io.max" "8:0 rbps=1 wbps=max"',
      'WRITE? "/ns/c1/io.max" "8:16 rbps=2 wbps=max"',
    ]);
  });

  test("nothing asked, nothing done", () => {
    expect(update(v2("memory"), {})).toEqual({ script: [], undo: [] });
  });
});

describe("members", () => {
  test("below too, each once, of a vanished cgroup none", () => {
    files({ "a/cgroup.procs": "1\n2\n", "a/b/cgroup.procs": "3\n1\n", "a/b/c/cgroup.procs": "" });
    expect(membersBelow(join(root, "a")).sort()).toEqual([1, 2, 3]);
    expect(membersBelow(join(root, "gone"))).toEqual([]);
  });
});

describe("teardown record", () => {
  test("v2", () => {
    expect(teardownRecord(v2("memory pids"), "/b/rootfs").replaceAll(root, "")).toBe(
      "vigil-teardown 1\ncgroup 2 /ns/c1\nmemory 2 /ns/c1/memory.events oom_kill 0\nmount /b/rootfs\n",
    );
  });
  test("v1 without memory and without mounts", () => {
    expect(teardownRecord(v1("pids", "cpu,cpuacct"), undefined).replaceAll(root, "")).toBe(
      "vigil-teardown 1\ncgroup 1 /pids/ns/c1\ncgroup 1 /cpu,cpuacct/ns/c1\n",
    );
  });
  test("hooks are kept as the core takes them, and only so many as delete reads", () => {
    const shown = { name: "poststop hook #0", path: "/p", argv: ["/p"], env: [], timeoutMs: 0, directory: "/b" };
    const op = hook(shown, "state\nof two lines");
    const record = teardownRecord(v2("pids"), undefined, { poststop: [op, op] });
    const line = `hook ${Buffer.from(op.payload).toString("hex")}\n`;
    expect(record.endsWith(line + line)).toBe(true);
    expect(() => teardownRecord(v2("pids"), undefined, { poststop: [hook(shown, "x".repeat(600_000))] })).toThrow(
      expect.objectContaining({ code: "resource_exhausted", message: expect.stringContaining("hooks.poststop") }),
    );
  });
  test("a newline would forge a line", () => {
    expect(() => teardownRecord(v2("pids"), "/b\nunlink /etc/passwd")).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });
});

test("the fixtures of the unit tests are what the kernel writes", () => {
  const captured = JSON.parse(readFileSync(new URL("../../fixtures/cgroup/v2-files.json", import.meta.url), "utf8"));
  expect(captured["memory.events"]).toMatch(/^low \d+\nhigh \d+\nmax \d+\noom \d+\noom_kill \d+\n/);
});
