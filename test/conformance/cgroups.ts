// Control groups: place and limits. Values are read where the kernel keeps them.
import { equal, match, notEqual, ok } from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/command.js";
import type { Bed } from "./harness/bed.js";
import { script } from "./harness/config.js";
import { cgroupDir, cgroupsWith, cgroupVersion, needCgroup, needController, needFile } from "./harness/host.js";
import { type Body, section } from "./harness/test.js";

interface Limit {
  readonly resources: unknown;
  /** Controller, file and content on each version; absent: the setting has no file there. */
  readonly v1?: readonly [string, string, string];
  readonly v2?: readonly [string, string, string];
}

const MiB = 1 << 20;

const limits: Readonly<Record<string, Limit>> = {
  "memory#limit": {
    resources: { memory: { limit: 64 * MiB } },
    v1: ["memory", "memory.limit_in_bytes", `${64 * MiB}`],
    v2: ["memory", "memory.max", `${64 * MiB}`],
  },
  "memory#limit -1 is unlimited": {
    resources: { memory: { limit: -1 } },
    v1: ["memory", "memory.limit_in_bytes", "9223372036854771712"],
    v2: ["memory", "memory.max", "max"],
  },
  "memory#reservation": {
    resources: { memory: { reservation: 32 * MiB } },
    v1: ["memory", "memory.soft_limit_in_bytes", `${32 * MiB}`],
    v2: ["memory", "memory.low", `${32 * MiB}`],
  },
  "memory#swap is memory and swap together": {
    resources: { memory: { limit: 64 * MiB, swap: 96 * MiB } },
    v1: ["memory", "memory.memsw.limit_in_bytes", `${96 * MiB}`],
    v2: ["memory", "memory.swap.max", `${32 * MiB}`],
  },
  "memory#swappiness": { resources: { memory: { swappiness: 17 } }, v1: ["memory", "memory.swappiness", "17"] },
  "memory#disableOOMKiller": {
    resources: { memory: { limit: 64 * MiB, disableOOMKiller: true } },
    v1: ["memory", "memory.oom_control", "oom_kill_disable 1"],
  },
  "cpu#shares": {
    resources: { cpu: { shares: 512 } },
    v1: ["cpu", "cpu.shares", "512"],
  },
  "cpu#quota": {
    resources: { cpu: { quota: 30000, period: 100000 } },
    v1: ["cpu", "cpu.cfs_quota_us", "30000"],
    v2: ["cpu", "cpu.max", "30000 100000"],
  },
  "cpu#period": {
    resources: { cpu: { quota: 30000, period: 50000 } },
    v1: ["cpu", "cpu.cfs_period_us", "50000"],
    v2: ["cpu", "cpu.max", "30000 50000"],
  },
  "cpu#burst": {
    resources: { cpu: { quota: 30000, period: 100000, burst: 10000 } },
    v1: ["cpu", "cpu.cfs_burst_us", "10000"],
    v2: ["cpu", "cpu.max.burst", "10000"],
  },
  "cpu#idle": { resources: { cpu: { idle: 1 } }, v1: ["cpu", "cpu.idle", "1"], v2: ["cpu", "cpu.idle", "1"] },
  "cpu#cpus": {
    resources: { cpu: { cpus: "0" } },
    v1: ["cpuset", "cpuset.cpus", "0"],
    v2: ["cpuset", "cpuset.cpus", "0"],
  },
  "cpu#mems": {
    resources: { cpu: { cpus: "0", mems: "0" } },
    v1: ["cpuset", "cpuset.mems", "0"],
    v2: ["cpuset", "cpuset.mems", "0"],
  },
  "pids#limit": {
    resources: { pids: { limit: 100 } },
    v1: ["pids", "pids.max", "100"],
    v2: ["pids", "pids.max", "100"],
  },
  "pids#limit -1 is unlimited": {
    resources: { pids: { limit: -1 } },
    v1: ["pids", "pids.max", "max"],
    v2: ["pids", "pids.max", "max"],
  },
  "block-io#weight": {
    resources: { blockIO: { weight: 300 } },
    v1: ["blkio", "blkio.bfq.weight", "300"],
    v2: ["io", "io.bfq.weight", "default 300"],
  },
  "huge-page-limits#limit": {
    resources: { hugepageLimits: [{ pageSize: "2MB", limit: 4 * MiB }] },
    v1: ["hugetlb", "hugetlb.2MB.limit_in_bytes", `${4 * MiB}`],
    v2: ["hugetlb", "hugetlb.2MB.max", `${4 * MiB}`],
  },
  "network#classID": { resources: { network: { classID: 1048577 } }, v1: ["net_cls", "net_cls.classid", "1048577"] },
};

function limitTest({ resources, v1, v2 }: Limit): Body {
  return async (t) => {
    const place = cgroupVersion === 1 ? v1 : v2;
    if (place === undefined) return needCgroup(cgroupVersion === 1 ? 2 : 1);
    const [controller, file, content] = place;
    needController(controller);
    const container = t.container({ linux: { resources: resources as object } });
    const folder = cgroupDir(controller, container.cgroupsPath);
    if (cgroupVersion === 1) {
      // Whether the kernel has the file shows in any cgroup below the first.
      const sample = cgroupDir(controller, `${container.cgroupsPath}-sample`);
      mkdirSync(sample, { recursive: true });
      t.afterwards(() => rmdirSync(sample));
      needFile(join(sample, file));
    }
    await container.mustCreate();
    const found = readFileSync(join(folder, file), "utf8").trim().split("\n");
    ok(found.includes(content), `${file}: ${found.join(", ")}, not ${content}`);
  };
}

async function cgroupsOf(t: Bed, pid: number): Promise<string> {
  return t.host("cat", `/proc/${pid}/cgroup`);
}

const throttle = { major: 7, minor: 0, rate: 1 << 20 };

export const cgroupTests = [
  ...section("config-linux.md#cgroups-path", {
    "an absolute path is relative to the mount point of every hierarchy": async (t) => {
      const container = await t.created();
      const controllers = cgroupVersion === 1 ? ["memory", "cpu", "pids", "devices", "freezer"] : [""];
      for (const controller of controllers) {
        const procs = readFileSync(join(cgroupDir(controller, container.cgroupsPath), "cgroup.procs"), "utf8");
        match(procs, new RegExp(`^${await container.pid()}$`, "m"), controller);
      }
    },
    "a relative path leads to the same place each time": async (t) => {
      const cgroupsPath = `${t.group}/relative-${t.folder.split("/").at(-1)}`;
      const places: string[] = [];
      for (let time = 0; time < 2; time++) {
        const container = await t.created({ linux: { cgroupsPath } });
        places.push(await cgroupsOf(t, await container.pid()));
        await container.must("delete", ["--force"]);
      }
      match(places[0] ?? "", new RegExp(cgroupsPath));
      equal(places[0], places[1]);
    },
    "without a path the container has a place of its own": async (t) => {
      const one = await t.created({ linux: { cgroupsPath: undefined } });
      const two = await t.created({ linux: { cgroupsPath: undefined } });
      const places = [await cgroupsOf(t, await one.pid()), await cgroupsOf(t, await two.pid())];
      notEqual(places[0], places[1]);
      notEqual(places[0], await cgroupsOf(t, process.pid));
    },
    "a path with .. does not leave the hierarchy": async (t) => {
      const container = t.container({
        linux: { cgroupsPath: `/../../../../${t.group}/up-${t.folder.split("/").at(-1)}` },
      });
      if ((await container.create()).code !== 0) return;
      match(await cgroupsOf(t, await container.pid()), new RegExp(`:/${t.group}/up-`));
    },
    "cgroups that do not exist are made, also deep": async (t) => {
      const cgroupsPath = `/${t.group}/deep-${t.folder.split("/").at(-1)}/one/two`;
      const container = await t.created({ linux: { cgroupsPath } });
      ok((await cgroupsWith(cgroupsPath)).length > 0);
      await container.must("delete", ["--force"]);
      equal((await cgroupsWith(cgroupsPath)).join(), "");
    },
    "children of the process are in the cgroup, too": async (t) => {
      const container = await t.running(script("sleep 1000 & echo ready; wait"));
      const procs = readFileSync(join(cgroupDir("pids", container.cgroupsPath), "cgroup.procs"), "utf8");
      equal(procs.trim().split("\n").length, 2);
    },
    "a cgroup of a living container is not taken by a second one": async (t) => {
      const one = await t.running();
      const two = t.container({ linux: { cgroupsPath: one.cgroupsPath } });
      if ((await two.create()).code === 0) await two.must("delete", ["--force"]);
      equal((await one.state()).status, "running");
      equal((await one.exec("echo alive")).out, "alive\n");
    },
  }),
  ...Object.entries(limits).flatMap(([name, limit]) => {
    const [anchor = "", setting = ""] = name.split("#");
    return section(`config-linux.md#${anchor}`, { [setting]: limitTest(limit) });
  }),
  ...section("config-linux.md#memory", {
    "a process that needs more than the limit is killed": async (t) => {
      needController("memory");
      const resources = { memory: { limit: 16 * MiB, swap: 16 * MiB } };
      const out = await t.probe("tail /dev/zero; echo $?", { linux: { resources } });
      equal(out.split("\n").at(-1), "137");
    },
    "a limit that is no number is refused": async (t) => {
      await t.refused({ linux: { resources: { memory: { limit: "much" } } } });
    },
    "a limit too small to live in is refused": async (t) => {
      needController("memory");
      await t.refusedByStart({ linux: { resources: { memory: { limit: 1 } } } });
    },
  }),
  ...section("config-linux.md#cpu", {
    "shares are a weight on version 2": async (t) => {
      needCgroup(2);
      needController("cpu");
      const container = await t.created({ linux: { resources: { cpu: { shares: 512 } } } });
      const weight = Number(readFileSync(join(cgroupDir("cpu", container.cgroupsPath), "cpu.weight"), "utf8"));
      // Two conversions are in use: the linear one of earlier days and the one by powers that keeps 1024 at 100.
      ok(weight === 20 || weight === 59, `${weight}`);
    },
    "the process may run on the given processors only": async (t) => {
      needController("cpuset");
      const out = await t.probe("grep Cpus_allowed_list /proc/self/status", {
        linux: { resources: { cpu: { cpus: "0" } } },
      });
      match(out, /\t0$/);
    },
    "processors that do not exist are refused": async (t) => {
      needController("cpuset");
      await t.refused({ linux: { resources: { cpu: { cpus: "4000-4001" } } } });
    },
    "a quota below the kernel's least is refused": async (t) => {
      needController("cpu");
      await t.refused({ linux: { resources: { cpu: { quota: 1, period: 100000 } } } });
    },
  }),
  ...section("config-linux.md#block-io", {
    throttleReadBpsDevice: async (t) => {
      needController(cgroupVersion === 1 ? "blkio" : "io");
      needFile("/sys/dev/block/7:0");
      const container = await t.created({ linux: { resources: { blockIO: { throttleReadBpsDevice: [throttle] } } } });
      const folder = cgroupDir("blkio", container.cgroupsPath);
      if (cgroupVersion === 1)
        equal(readFileSync(join(folder, "blkio.throttle.read_bps_device"), "utf8"), "7:0 1048576\n");
      else match(readFileSync(join(folder, "io.max"), "utf8"), /^7:0 rbps=1048576/m);
    },
    throttleWriteIOPSDevice: async (t) => {
      needController(cgroupVersion === 1 ? "blkio" : "io");
      needFile("/sys/dev/block/7:0");
      const resources = { blockIO: { throttleWriteIOPSDevice: [{ ...throttle, rate: 300 }] } };
      const container = await t.created({ linux: { resources } });
      const folder = cgroupDir("blkio", container.cgroupsPath);
      if (cgroupVersion === 1)
        equal(readFileSync(join(folder, "blkio.throttle.write_iops_device"), "utf8"), "7:0 300\n");
      else match(readFileSync(join(folder, "io.max"), "utf8"), /^7:0 .*wiops=300/m);
    },
  }),
  ...section("config-linux.md#pids", {
    "more processes than the limit are not possible": async (t) => {
      needController("pids");
      const out = await t.probe("for i in 1 2 3 4 5 6 7 8; do sleep 0.1 & done 2>&1; wait", {
        linux: { resources: { pids: { limit: 4 } } },
      });
      match(out, /fork|Resource temporarily unavailable/);
    },
  }),
  ...section("config-linux.md#huge-page-limits", {
    "a page size that the machine has not is refused": async (t) => {
      needController("hugetlb");
      await t.refused({ linux: { resources: { hugepageLimits: [{ pageSize: "3MB", limit: 1 }] } } });
    },
  }),
  ...section("config-linux.md#unified", {
    "any file of the cgroup is written": async (t) => {
      needCgroup(2);
      const container = await t.created({
        linux: { resources: { unified: { "cgroup.max.descendants": "7", "pids.max": "55" } } },
      });
      const folder = cgroupDir("", container.cgroupsPath);
      equal(readFileSync(join(folder, "cgroup.max.descendants"), "utf8"), "7\n");
      equal(readFileSync(join(folder, "pids.max"), "utf8"), "55\n");
    },
    "a file that does not exist is refused": async (t) => {
      needCgroup(2);
      await t.refused({ linux: { resources: { unified: { "memory.no_such_file": "1" } } } });
    },
    "a name with a slash is refused": async (t) => {
      needCgroup(2);
      await t.refused({ linux: { resources: { unified: { "../cgroup.procs": "1" } } } });
    },
    "on version 1 it is refused": async (t) => {
      needCgroup(1);
      await t.refused({ linux: { resources: { unified: { "memory.max": "10000000" } } } });
    },
  }),
  ...section("config-linux.md#allowed-device-list", {
    "a denied device cannot be opened, an allowed one can": async (t) => {
      const resources = {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", major: 10, minor: 229, access: "rw" },
        ],
      };
      needFile("/dev/fuse");
      const devices = [
        { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666 },
        { path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 0o666 },
      ];
      const text = "true <>/dev/fuse && echo opened; true </dev/kmsg || echo refused";
      equal(await t.probe(text, { linux: { resources, devices } }), "opened\nrefused");
    },
    "access is by letter: read but not write": async (t) => {
      needFile("/dev/fuse");
      const resources = {
        devices: [
          { allow: false, access: "rwm" },
          { allow: true, type: "c", major: 10, minor: 229, access: "r" },
        ],
      };
      const devices = [{ path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666 }];
      const text = "true </dev/fuse && echo opened; true >/dev/fuse || echo refused";
      equal(await t.probe(text, { linux: { resources, devices } }), "opened\nrefused");
    },
    "entries count in the listed order": async (t) => {
      const entry = { type: "c", major: 1, minor: 11, access: "rwm" };
      const devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 0o666 }];
      const rules = [
        { allow: false, access: "rwm" },
        { allow: true, ...entry },
        { allow: false, ...entry },
      ];
      const out = await t.probe("true </dev/kmsg || echo refused", {
        linux: { resources: { devices: rules }, devices },
      });
      equal(out, "refused");
    },
    "default devices can be used whatever is denied": async (t) => {
      equal(
        await t.probe("echo x >/dev/null && head -c 1 /dev/zero | wc -c && true <>/dev/ptmx && echo all"),
        "1\nall",
      );
    },
    "a device that is not allowed cannot be made and opened": async (t) => {
      equal(await t.probe("mknod /tmp/kmsg c 1 11 && true </tmp/kmsg || echo refused"), "refused");
    },
    "a process of exec is under the same rules": async (t) => {
      const devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11, fileMode: 0o666 }];
      const container = await t.running({ linux: { devices } });
      equal((await container.exec("true </dev/kmsg || echo refused")).out, "refused\n");
    },
    "an unknown letter is refused": async (t) => {
      const devices = [{ allow: true, type: "c", major: 1, minor: 11, access: "xyz" }];
      await t.refused({ linux: { resources: { devices } } });
    },
  }),
  ...section("config-linux.md#control-groups", {
    "a frozen cgroup is refused, or thawed, by create": async (t) => {
      const container = t.container();
      const folder = cgroupDir("freezer", container.cgroupsPath);
      if (cgroupVersion === 1) needController("freezer");
      mkdirSync(folder, { recursive: true });
      const file = join(folder, cgroupVersion === 1 ? "freezer.state" : "cgroup.freeze");
      await t.host("sh", "-c", `echo ${cgroupVersion === 1 ? "FROZEN" : "1"} >${file}`);
      t.afterwards(async () => {
        if (!existsSync(folder)) return;
        await t.host("sh", "-c", `echo ${cgroupVersion === 1 ? "THAWED" : "0"} >${file}`);
        // Whoever was caught in it by a create that gave up.
        await eventually("an empty cgroup", () => {
          const pids = readFileSync(join(folder, "cgroup.procs"), "utf8").trim();
          if (pids === "") return true;
          // One that has gone since is as good.
          return t.host("sh", "-c", `kill -KILL ${pids.replaceAll("\n", " ")} || true`).then(() => undefined);
        });
        rmdirSync(folder);
      });
      if ((await container.create()).code === 0) equal((await container.state()).status, "created");
    },
  }),
];
