// Golden plans: what ctr's configurations become, decoded again by the core's own table of ops.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openBundle, parseProcess } from "../../../src/host/bundle.js";
import type { Caller } from "../../../src/host/caller.js";
import type { CgroupHost } from "../../../src/host/cgroup/detect.js";
import { decodeHandle, encodeHandle } from "../../../src/host/runtime/handle.js";
import { parseIdList } from "../../../src/host/runtime/id-list.js";
import { detectSecurityModules, type SecurityModules } from "../../../src/host/runtime/labels.js";
import { type PlanSurroundings, planContainer } from "../../../src/host/runtime/plan.js";
import { planExec } from "../../../src/host/runtime/plan-exec.js";
import { processStateParts } from "../../../src/host/runtime/state.js";
import type { CreateSpec, MountSpec } from "../../../src/task/ports.js";
import { decodeOps, showOps } from "../../support/decode-ops.js";

type Config = ReturnType<typeof structuredClone<typeof ctr>>;
const ctr = JSON.parse(readFileSync(new URL("../../fixtures/bundle/ctr-1.7.json", import.meta.url), "utf8"));

let bundle: string;
beforeEach(() => {
  bundle = realpathSync(mkdtempSync(join(tmpdir(), "vigil-plan-")));
  mkdirSync(join(bundle, "rootfs"));
});
afterEach(() => rmSync(bundle, { recursive: true }));

const unified: CgroupHost = {
  mode: "v2",
  hierarchies: [{ version: 2, mountPoint: "/nosuch/cgroup", controllers: ["cpu", "memory", "pids"], options: "" }],
};
const legacy: CgroupHost = {
  mode: "v1",
  hierarchies: ["cpu,cpuacct", "memory", "devices"].map((options) => ({
    version: 1,
    mountPoint: `/nosuch/${options}`,
    controllers: options.split(","),
    options,
  })),
};

const options = {
  noPivotRoot: false,
  noNewKeyring: false,
  shimCgroup: "",
  ioUid: 0,
  ioGid: 0,
  binaryName: "",
  root: "",
  systemdCgroup: false,
  criuImagePath: "",
  criuWorkPath: "",
};

interface Wish {
  readonly change?: (config: Config) => void;
  readonly cgroups?: CgroupHost;
  readonly rootfs?: readonly MountSpec[];
  readonly options?: Partial<typeof options>;
  readonly terminal?: boolean;
  readonly seccomp?: PlanSurroundings["seccomp"];
  readonly modules?: SecurityModules;
  readonly caller?: Caller;
}

const root: Caller = { uid: 0, gid: 0, privileged: true };

function plan(wish: Wish = {}) {
  const config = structuredClone(ctr);
  wish.change?.(config);
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  const request: CreateSpec = {
    id: "t1",
    bundle,
    checkpoint: "",
    rootfs: wish.rootfs ?? [],
    stdio: { stdin: "", stdout: "", stderr: "", terminal: wish.terminal ?? false },
    options: { ...options, ...wish.options },
  };
  const warnings: string[] = [];
  const made = planContainer(openBundle(bundle), request, {
    namespace: "default",
    cgroups: wish.cgroups ?? unified,
    seccomp: wish.seccomp,
    lastCapability: 40,
    modules: wish.modules ?? { apparmor: false, selinux: false },
    caller: wish.caller ?? root,
    warn: (message) => warnings.push(message),
  });
  // Whether there is a /proc/kcore to link to is the machine's matter.
  const show = (ops: Uint8Array) =>
    showOps(ops)
      .filter((line) => !line.includes("/dev/core"))
      .map((line) => line.replaceAll(bundle, "BUNDLE"));
  return { ...made, warnings, script: show(made.birth.script), child: show(made.birth.ops) };
}

const names = (ops: Uint8Array) => decodeOps(ops).map(({ name }) => name);

test("what ctr run asks for on a v2 host", async () => {
  const { script, child, birth, namespaces } = plan();
  await expect([...script, "--", ...child].join("\n")).toMatchFileSnapshot("../../fixtures/plan/ctr-v2.txt");
  expect(birth.cloneFlags).toBe(0x20000000n | 0x08000000n | 0x04000000n | 0x20000n | 0x40000000n);
  expect(birth.joins).toEqual([]);
  expect(birth.initNamespaces).toBe(0n);
  expect(birth.ioTimeoutMs).toBe(30_000);
  expect(namespaces.isNew("pid")).toBe(true);
});

test("what ctr run --tty --seccomp --read-only asks for on a v1 host, with an image's root and a cgroup namespace", async () => {
  const { script, child, birth } = plan({
    cgroups: legacy,
    terminal: true,
    seccomp: { program: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]), flags: 4, agent: undefined },
    rootfs: [
      {
        type: "overlay",
        source: "overlay",
        target: "",
        options: ["index=off", "workdir=/s/3/work", "upperdir=/s/3/fs", "lowerdir=/s/2/fs:/s/1/fs"],
      },
    ],
    change: (config) => {
      config.process.terminal = true;
      config.process.consoleSize = { height: 24, width: 80 };
      config.process.env = ["PATH=/bin", "TERM=xterm"];
      config.root.readonly = true;
      config.hostname = "h";
      config.linux.namespaces.push({ type: "cgroup" });
      config.linux.resources.memory = { limit: 1 << 26, swap: 1 << 26 };
      config.mounts.push({
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["nosuid", "ro"],
      });
    },
  });
  await expect([...script, "--", ...child].join("\n")).toMatchFileSnapshot("../../fixtures/plan/ctr-v1-tty.txt");
  expect(birth.terminal).toBe(true);
  expect(birth.teardown).toContain(`mount ${bundle}/rootfs\n`);
});

describe("the order of the last steps", () => {
  const seccomp = { program: new Uint8Array(8), flags: 0, agent: undefined };

  test("with no_new_privs the filter is the last thing before execve", () => {
    expect(names(plan({ seccomp }).birth.ops).slice(-9)).toEqual([
      "NO_NEW_PRIVS",
      "CWD",
      "USER",
      "CWD",
      "CAPABILITIES",
      "FIND",
      "WAIT_START",
      "SECCOMP",
      "EXEC",
    ]);
  });

  test("without it the filter comes while there are capabilities", () => {
    const order = names(plan({ seccomp, change: (c) => (c.process.noNewPrivileges = false) }).birth.ops);
    expect(order).not.toContain("NO_NEW_PRIVS");
    expect(order.indexOf("SECCOMP")).toBeLessThan(order.indexOf("USER"));
    expect(order.slice(-2)).toEqual(["WAIT_START", "EXEC"]);
  });
});

describe("namespaces", () => {
  test("joined by path, or the host's", () => {
    const { birth, namespaces } = plan({
      change: (config) => {
        config.linux.namespaces = [
          { type: "mount" },
          { type: "network", path: "/proc/7/ns/net" },
          { type: "pid", path: "/proc/7/ns/pid" },
        ];
      },
    });
    expect(birth.cloneFlags).toBe(0x20000n);
    expect(birth.joins).toEqual([
      { flag: 0x40000000n, path: "/proc/7/ns/net" },
      { flag: 0x20000000n, path: "/proc/7/ns/pid" },
    ]);
    expect(namespaces.isNew("pid")).toBe(false);
    expect(names(birth.ops)).not.toContain("BRING_UP_LOOPBACK");
  });

  test("a joined cgroup namespace is entered, not made", () => {
    const { birth } = plan({ change: (c) => c.linux.namespaces.push({ type: "cgroup", path: "/proc/7/ns/cgroup" }) });
    expect(names(birth.ops)).not.toContain("UNSHARE_CGROUP");
    expect(birth.joins).toEqual([{ flag: 0x2000000n, path: "/proc/7/ns/cgroup" }]);
  });
});

describe("mounts", () => {
  const withMount = (mount: object) => plan({ change: (config) => (config.mounts = [mount]) });

  test("a bind, whatever its type says; the last word counts; relative to the bundle", () => {
    const { child } = withMount({
      destination: "/data/",
      type: "none",
      source: "volume",
      options: ["rbind", "ro", "rw", "nosuid", "rslave"],
    });
    expect(child).toContain('BIND_OR_MOUNT "bind" "BUNDLE/volume" "/data" 0x5002 0x1 0x84000 "" 1');
  });

  test("type bind alone is one, too", () => {
    const { child } = withMount({ destination: "/data", type: "bind", source: "/srv", options: ["ro"] });
    expect(child).toContain('BIND_OR_MOUNT "bind" "/srv" "/data" 0x1001 0x0 0x0 "" 1');
  });

  test("a read-only tmpfs is closed when everything in it is made, before the root changes", () => {
    const { child } = withMount({
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["ro", "nosuid", "mode=755"],
    });
    expect(child).toContain('BIND_OR_MOUNT "tmpfs" "tmpfs" "/dev" 0x2 0x0 0x0 "mode=755" 0');
    const closed = child.indexOf('BIND_OR_MOUNT "tmpfs" "tmpfs" "/dev" 0x1023 0x0 0x0 "" 0');
    expect(closed).toBeGreaterThan(child.findIndex((line) => line.startsWith("DEVICE")));
    expect(child[closed + 1]).toMatch(/^PIVOT/);
  });

  test("a container that brings its /dev keeps it as it is", () => {
    const { birth } = withMount({ destination: "/dev", type: "bind", source: "/dev", options: ["rbind"] });
    expect(names(birth.ops)).not.toContain("DEVICE");
    expect(names(birth.ops)).not.toContain("SYMLINK");
  });

  test("v1 cgroups are shown by hierarchy, with what mounts them", () => {
    const { child } = plan({
      cgroups: legacy,
      change: (config) => (config.mounts = [{ destination: "/sys/fs/cgroup", type: "cgroup", options: ["ro"] }]),
    });
    expect(child).toContain(
      'CGROUP_MOUNT 1 "/sys/fs/cgroup" 0x1 [["cpu,cpuacct" "/nosuch/cpu,cpuacct/default/t1" "cpu,cpuacct"] ["memory" "/nosuch/memory/default/t1" "memory"] ["devices" "/nosuch/devices/default/t1" "devices"]]',
    );
  });

  test("a relative destination is taken as absolute, with a warning", () => {
    const { child, warnings } = withMount({ destination: "data", type: "tmpfs" });
    expect(child).toContain('BIND_OR_MOUNT "tmpfs" "tmpfs" "/data" 0x0 0x0 0x0 "" 0');
    expect(warnings).toEqual(['config.json: mounts[0].destination: "data" is taken as absolute']);
  });
});

describe("devices", () => {
  test("the configuration's win over the default ones; ptmx is always the container's", () => {
    const { child } = plan({
      change: (config) => {
        config.linux.devices = [
          { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 0o20600, uid: 5 },
          { path: "/dev/ptmx", type: "c", major: 5, minor: 2 },
          { path: "/run/pipe", type: "p", fileMode: 0o644 },
        ];
      },
    });
    const devices = child.filter((line) => line.startsWith("DEVICE"));
    expect(devices).toContain('DEVICE "/dev/null" 99 1 3 384 5 0');
    expect(devices).toContain('DEVICE "/run/pipe" 112 0 0 420 0 0');
    expect(devices.filter((line) => line.includes("ptmx"))).toEqual([]);
    expect(child).toContain('SYMLINK "pts/ptmx" "/dev/ptmx"');
  });
});

describe("the request's root file system", () => {
  const mount = (spec: Partial<MountSpec>) =>
    plan({ rootfs: [{ type: "overlay", source: "overlay", target: "", options: [], ...spec }] });

  test("a read-only bind, at a subdirectory", () => {
    const { script } = mount({ type: "bind", source: "/img", target: "sub", options: ["rbind", "ro"] });
    expect(script.slice(0, 2)).toEqual([
      'MKDIR "BUNDLE/rootfs" 457',
      'MOUNT "bind" "/img" "BUNDLE/rootfs" "sub" 0x5001 0x0 ""',
    ]);
  });

  test("a file with a file system in it", () => {
    const { script } = mount({ type: "ext4", source: "/img", options: ["loop", "ro", "noload"] });
    expect(script[1]).toBe('MOUNT "ext4" "/img" "BUNDLE/rootfs" "/" 0x1 0x0 "noload,loop"');
  });

  test.each<[Partial<MountSpec>, string, string]>([
    [{ options: ["X-containerd.mkfs.fs=ext4"] }, "invalid_argument", "rootfs[0].options"],
    [{ options: ["ridmap"] }, "unimplemented", "rootfs[0].options: ridmap"],
    [{ options: ["uidmap=0:1000:1"] }, "unimplemented", "uidmap=0:1000:1"],
    [{ type: "fuse3.fuse-overlayfs" }, "unimplemented", "rootfs[0].type"],
    [{ type: "" }, "invalid_argument", "rootfs[0].type"],
  ])("%j is refused", (spec, code, words) => {
    expect(() => mount(spec)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
  });

  test("a link at the place where it would be mounted is refused", () => {
    rmSync(join(bundle, "rootfs"), { recursive: true });
    symlinkSync("/", join(bundle, "rootfs"));
    expect(() => mount({})).toThrow(/is not a directory/);
  });
});

test("sysctls", () => {
  const { child } = plan({
    change: (config) =>
      (config.linux.sysctl = {
        "net.ipv4.ip_forward": "1",
        "net/ipv4/conf/eth0.1/forwarding": "1",
        "kernel.shm_rmid_forced": "1",
      }),
  });
  expect(child.filter((line) => line.startsWith("SYSCTL"))).toEqual([
    'SYSCTL "net.ipv4.ip_forward" "1"',
    'SYSCTL "net/ipv4/conf/eth0.1/forwarding" "1"',
    'SYSCTL "kernel.shm_rmid_forced" "1"',
  ]);
});

test("a time namespace is the child's to make; a mount namespace can be somebody else's", () => {
  const { child, birth, namespaces } = plan({
    change: (config) => {
      config.linux.namespaces.push({ type: "time" });
      config.linux.namespaces[3].path = "/nosuch/ns/mnt";
      config.linux.timeOffsets = { monotonic: { secs: -5 }, boottime: { secs: 7, nanosecs: 9 } };
    },
  });
  expect(child[0]).toBe('TIME_NAMESPACE "monotonic -5 0\\nboottime 7 9\\n"');
  expect(birth.cloneFlags & 0x20080n).toBe(0n);
  expect(namespaces.all & 0x20080n).toBe(0x20080n);
  expect(birth.joins).toEqual([{ flag: 0x20000n, path: "/nosuch/ns/mnt" }]);
});

test("mounts with recursive attributes, other ids, a copy", () => {
  const maps = {
    uidMappings: [{ containerID: 0, hostID: 7, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: 8, size: 2 }],
  };
  const bound = { destination: "/a", type: "bind", source: "/b" };
  const { child } = plan({
    change: (config) => {
      config.mounts = [
        { ...bound, options: ["rbind", "rro", "rnodev", "rdev", "rnoatime"] },
        { ...bound, options: ["rbind", "rstrictatime", "ratime"] },
        { ...bound, options: ["rbind", "ridmap", "ro"], ...maps },
        { ...bound, options: ["idmap"] },
        { destination: "/c", type: "tmpfs", source: "d", options: ["tmpcopyup", "ro", "nosuid", "size=1m"] },
      ];
      config.linux.namespaces.push({ type: "user", path: "/proc/7/ns/user" });
    },
  });
  const from = child.indexOf('BIND_OR_MOUNT "bind" "/b" "/a" 0x5000 0x0 0x0 "" 1');
  expect(child.slice(from, from + 7)).toEqual([
    'BIND_OR_MOUNT "bind" "/b" "/a" 0x5000 0x0 0x0 "" 1',
    'MOUNT_ATTRIBUTES "/a" 0x11 0x75',
    'BIND_OR_MOUNT "bind" "/b" "/a" 0x5000 0x0 0x0 "" 1',
    'MOUNT_ATTRIBUTES "/a" 0x0 0x70',
    'IDMAP_BIND "/b" "/a" 0x5001 0x0 0x0 "0 7 1\\n" "0 8 2\\n" 1',
    'IDMAP_BIND "/b" "/a" 0x1000 0x0 0x0 "" "" 0',
    'TMPFS_COPY "d" "/c" 0x2 0x0 "size=1m"',
  ]);
  expect(child).toContain('BIND_OR_MOUNT "tmpfs" "d" "/c" 0x1023 0x0 0x0 "" 0');
});

const whole = { containerID: 0, hostID: 100000, size: 65536 };

describe("user namespaces", () => {
  const mapped = (config: Config, uids: unknown, gids: unknown) => {
    config.linux.namespaces.push({ type: "user" });
    config.linux.uidMappings = uids;
    config.linux.gidMappings = gids;
  };

  test("maps are written before anything else", () => {
    const second = { containerID: 65536, hostID: 5, size: 1 };
    const { child, birth } = plan({ change: (config) => mapped(config, [whole, second], [whole]) });
    expect(child[0]).toBe('USER_MAP "0 100000 65536\\n65536 5 1\\n" "0 100000 65536\\n"');
    expect(birth.cloneFlags & 0x1000_0000n).not.toBe(0n);
  });

  test("somebody else's is entered, whatever maps are given with it", () => {
    const { child, birth } = plan({
      change: (config) => {
        config.linux.namespaces.push({ type: "user", path: "/proc/7/ns/user" });
        config.linux.uidMappings = [whole];
      },
    });
    expect(child[0]).toBe("USER_ROOT");
    expect(birth.joins).toContainEqual({ flag: 0x1000_0000n, path: "/proc/7/ns/user" });
    expect(birth.cloneFlags & 0x1000_0000n).toBe(0n);
  });

  describe("without privileges", () => {
    const caller = { uid: 1000, gid: 1001, privileged: false };
    const own = (id: number) => [{ containerID: 0, hostID: id, size: 1 }];
    const alone = (config: Config) => {
      mapped(config, own(1000), own(1001));
      config.mounts = [];
      config.linux.cgroupsPath = "";
      delete config.linux.resources;
    };

    test("the own id is mapped without a program; no cgroup that cannot be made, the score is inherited", () => {
      const { child, script, birth } = plan({
        caller,
        change: (config) => {
          alone(config);
          config.process.oomScoreAdj = 7;
        },
      });
      expect(child[0]).toBe('USER_MAP_UNPRIVILEGED "0 1000 1\\n" "0 1001 1\\n" "" ""');
      expect(script).toEqual(["OWN_OOM_SCORE 7"]);
      expect(names(birth.ops)).not.toContain("OOM_SCORE_ADJ");
      expect(birth.cgroup).toEqual({ version: 0, directories: [] });
      expect(birth.watch.version).toBe(0);
    });

    test("a cgroup that the configuration names is a must", () => {
      const { script } = plan({
        caller,
        change: (config) => {
          alone(config);
          config.linux.cgroupsPath = "/given/c";
        },
      });
      expect(script).toContain('CGROUP_MKDIR "/nosuch/cgroup" "/nosuch/cgroup/given/c"');
    });

    test("root of another user namespace maps what it has", () => {
      const change = (config: Config) => {
        mapped(config, [whole], [whole]);
        config.linux.cgroupsPath = "";
        delete config.linux.resources;
      };
      const { child } = plan({ caller: { uid: 0, gid: 0, privileged: false }, change });
      expect(child[0]).toBe('USER_MAP_UNPRIVILEGED "0 100000 65536\\n" "0 100000 65536\\n" "" ""');
    });
  });

  test.each<[string, unknown, unknown]>([
    ["linux.uidMappings: a new user namespace cannot be without", undefined, [whole]],
    ["linux.gidMappings: a new user namespace cannot be without", [whole], []],
    ["linux.uidMappings: do not map id 0", [{ ...whole, containerID: 1 }], [whole]],
    ["linux.uidMappings[0].size: must not be 0", [{ ...whole, size: 0 }], [whole]],
    ["linux.gidMappings[0].hostID: expected an integer", [whole], [{ ...whole, hostID: -1 }]],
    ["linux.gidMappings[0].size: 65536 from hostID 4294967000 on", [whole], [{ ...whole, hostID: 4_294_967_000 }]],
    [
      "linux.uidMappings[1].containerID: 65535 is mapped by uidMappings[0], too",
      [whole, { containerID: 65535, hostID: 1, size: 1 }],
      [whole],
    ],
    [
      "linux.uidMappings[0].hostID: 100000 is mapped by uidMappings[1], too",
      [whole, { containerID: 70000, hostID: 99999, size: 2 }],
      [whole],
    ],
    [
      "linux.uidMappings: 341 mappings",
      Array.from({ length: 341 }, (_, id) => ({ containerID: id, hostID: id, size: 1 })),
      [whole],
    ],
  ])("%s", (words, uids, gids) => {
    expect(() => plan({ change: (config) => mapped(config, uids, gids) })).toThrow(
      expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(`config.json: ${words}`) }),
    );
  });
});

const without = (type: string) => (config: Config) => {
  config.linux.namespaces = config.linux.namespaces.filter((namespace: { type: string }) => namespace.type !== type);
};

const shared = (config: Config) => {
  without("mount")(config);
  config.linux.maskedPaths = config.linux.readonlyPaths = [];
};

test("without a mount namespace the root is bound onto itself by the helper, to be taken away in one piece, and changed into", () => {
  const { script, child, boundRoot, birth } = plan({ change: shared });
  expect(script[0]).toBe('MOUNT "bind" "BUNDLE/rootfs" "BUNDLE/rootfs" "/" 0x5000 0x44000 ""');
  expect(boundRoot).toBe(join(bundle, "rootfs"));
  expect(birth.teardown).toContain(`\nmount ${boundRoot}\n`);
  expect(child).toContain('ROOT "BUNDLE/rootfs"');
  expect(child.filter((line) => /^(ROOTFS|ROOT_PROPAGATION|PIVOT)/.test(line))).toEqual([]);
  expect(child.indexOf("CHROOT")).toBeGreaterThan(child.findIndex((line) => line.startsWith("DEVICE")));
});

test("the real /proc may be bound, and what lxcfs emulates in it", () => {
  const change = (config: Config) =>
    config.mounts.push(
      { destination: "/proc", type: "none", source: "/proc", options: ["rbind"] },
      { destination: "/proc/meminfo", type: "bind", source: "/etc/hostname", options: ["bind"] },
    );
  expect(plan({ change }).child.filter((line) => line.includes('"/proc"')).length).toBeGreaterThan(1);
});

const mounted =
  (destination: string, type: string, source: string, options: string[] = []) =>
  (config: Config) =>
    config.mounts.push({ destination, type, source, options });

test.each<[string, string, (config: Config) => unknown]>([
  ["invalid_argument", "/proc cannot be mounted because it is not of type proc", mounted("/proc", "tmpfs", "tmpfs")],
  [
    "invalid_argument",
    "/proc cannot be mounted because it is not of type proc",
    mounted("/proc/", "", "/etc", ["bind"]),
  ],
  ["invalid_argument", "/proc cannot be mounted because", mounted("/proc/.", "bind", "/proc/sys", ["bind"])],
  [
    "invalid_argument",
    '"/proc/sys" cannot be mounted because it is inside /proc',
    mounted("/x/../proc/sys", "bind", "/etc"),
  ],
  [
    "invalid_argument",
    "linux.rootfsPropagation: would be the host's",
    (c) => {
      shared(c);
      c.linux.rootfsPropagation = "slave";
    },
  ],
  [
    "invalid_argument",
    "linux.namespaces: a user namespace needs a mount namespace",
    (c) => {
      shared(c);
      c.linux.namespaces.push({ type: "user" });
    },
  ],
  [
    "invalid_argument",
    "linux.maskedPaths: unable to restrict sys entries without a private MNT namespace",
    without("mount"),
  ],
  [
    "invalid_argument",
    "config.json: linux.namespaces[3].path: /proc/self/ns/mnt is the host's",
    (c) => (c.linux.namespaces[3].path = "/proc/self/ns/mnt"),
  ],
  [
    "invalid_argument",
    "config.json: linux.namespaces[5].type: pid is given twice",
    (c) => c.linux.namespaces.push({ type: "pid" }),
  ],
  [
    "invalid_argument",
    "config.json: linux.gidMappings: needs a user namespace",
    (c) => (c.linux.gidMappings = [{ containerID: 0, hostID: 1, size: 1 }]),
  ],
  ["invalid_argument", "config.json: linux.namespaces[0].path", (c) => (c.linux.namespaces[0].path = "x")],
  ["invalid_argument", "config.json: hooks.prestart[0].path", (c) => (c.hooks = { prestart: [{ path: "x" }] })],
  [
    "invalid_argument",
    "config.json: hooks.poststop[1].timeout: expected an integer from 1",
    (c) => (c.hooks = { poststop: [{ path: "/x" }, { path: "/x", timeout: 0 }] }),
  ],
  ["invalid_argument", "config.json: hooks.poststart", (c) => (c.hooks = { poststart: { path: "/x" } })],
  ["unimplemented", "config.json: linux.intelRdt", (c) => (c.linux.intelRdt = { closID: "x" })],
  [
    "invalid_argument",
    'config.json: linux.personality.domain: "LINUX64"',
    (c) => (c.linux.personality = { domain: "LINUX64" }),
  ],
  [
    "invalid_argument",
    "config.json: linux.personality.flags",
    (c) => (c.linux.personality = { domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"] }),
  ],
  [
    "invalid_argument",
    'config.json: process.scheduler.policy: "toString"',
    (c) => (c.process.scheduler = { policy: "toString" }),
  ],
  ["invalid_argument", "config.json: process.scheduler.policy: expected", (c) => (c.process.scheduler = {})],
  [
    "invalid_argument",
    "config.json: process.scheduler.nice: 20",
    (c) => (c.process.scheduler = { policy: "SCHED_BATCH", nice: 20 }),
  ],
  [
    "invalid_argument",
    "config.json: process.scheduler.priority: SCHED_OTHER has none",
    (c) => (c.process.scheduler = { policy: "SCHED_OTHER", priority: 1 }),
  ],
  [
    "invalid_argument",
    "config.json: process.scheduler: SCHED_RR has no runtime",
    (c) => (c.process.scheduler = { policy: "SCHED_RR", priority: 1, runtime: 5 }),
  ],
  [
    "invalid_argument",
    "config.json: process.scheduler.flags[0]",
    (c) => (c.process.scheduler = { policy: "SCHED_OTHER", flags: ["x"] }),
  ],
  [
    "invalid_argument",
    "config.json: process.ioPriority.class",
    (c) => (c.process.ioPriority = { class: "IOPRIO_CLASS_NONE", priority: 1 }),
  ],
  [
    "invalid_argument",
    "config.json: process.ioPriority.priority",
    (c) => (c.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 8 }),
  ],
  [
    "invalid_argument",
    "config.json: linux.memoryPolicy.nodes: MPOL_BIND needs some",
    (c) => (c.linux.memoryPolicy = { mode: "MPOL_BIND" }),
  ],
  [
    "invalid_argument",
    "config.json: linux.memoryPolicy.nodes: MPOL_LOCAL takes none",
    (c) => (c.linux.memoryPolicy = { mode: "MPOL_LOCAL", nodes: "0" }),
  ],
  [
    "invalid_argument",
    "config.json: linux.timeOffsets: needs a new time namespace",
    (c) => (c.linux.timeOffsets = { monotonic: { secs: 1 } }),
  ],
  [
    "invalid_argument",
    'config.json: linux.timeOffsets: "realtime" is none of',
    (c) => {
      c.linux.namespaces.push({ type: "time" });
      c.linux.timeOffsets = { realtime: { secs: 1 } };
    },
  ],
  ["unimplemented", "config.json: mounts[0].options: loop", (c) => (c.mounts[0].options = ["loop"])],
  ["unimplemented", "config.json: mounts[0]: id-mapped mounts other", (c) => (c.mounts[0].uidMappings = [whole])],
  ["invalid_argument", "config.json: mounts[0].options: tmpcopyup", (c) => (c.mounts[0].options = ["tmpcopyup"])],
  [
    "invalid_argument",
    "config.json: mounts[0].gidMappings: must be given",
    (c) => (c.mounts[0] = { destination: "/x", type: "bind", source: "/y", uidMappings: [whole] }),
  ],
  [
    "invalid_argument",
    "config.json: mounts[0].options: idmap without mappings needs a user namespace",
    (c) => (c.mounts[0] = { destination: "/x", type: "bind", source: "/y", options: ["idmap"] }),
  ],
  [
    "invalid_argument",
    "config.json: mounts[0].uidMappings[0].size: must not be 0",
    (c) =>
      (c.mounts[0] = {
        ...{ destination: "/x", type: "bind", source: "/y" },
        ...{ uidMappings: [{ ...whole, size: 0 }], gidMappings: [whole] },
      }),
  ],
  ["invalid_argument", "config.json: mounts[0].type: must not be empty", (c) => (c.mounts[0].type = "")],
  [
    "invalid_argument",
    'config.json: mounts[0].options: "size=1"',
    (c) => (c.mounts[0] = { destination: "/a", type: "bind", source: "/b", options: ["size=1"] }),
  ],
  ["invalid_argument", "config.json: process.terminal", (c) => (c.process.terminal = true)],
  ["invalid_argument", "config.json: process.rlimits[0].type", (c) => (c.process.rlimits[0].type = "RLIMIT_X")],
  ["invalid_argument", "config.json: process.rlimits[0].soft", (c) => (c.process.rlimits[0].soft = 2000)],
  ["invalid_argument", "config.json: linux.maskedPaths[0]", (c) => (c.linux.maskedPaths = ["x"])],
  ["invalid_argument", "config.json: linux.rootfsPropagation", (c) => (c.linux.rootfsPropagation = "public")],
  [
    "invalid_argument",
    "config.json: linux.devices[0].major",
    (c) => (c.linux.devices = [{ path: "/dev/x", type: "c", major: -1, minor: 0 }]),
  ],
  [
    "invalid_argument",
    'linux.sysctl["kernel.panic"]: is not in a namespace',
    (c) => (c.linux.sysctl = { "kernel.panic": "1" }),
  ],
  [
    "invalid_argument",
    'linux.sysctl["kernel.hostname"]: conflicts',
    (c) => (c.linux.sysctl = { "kernel.hostname": "x" }),
  ],
  [
    "invalid_argument",
    'linux.sysctl["net.x"]: is not allowed',
    (c) => {
      without("network")(c);
      c.linux.sysctl = { "net.x": "1" };
    },
  ],
  [
    "invalid_argument",
    'linux.sysctl["net/x"]: is not allowed',
    (c) => {
      without("network")(c);
      c.linux.sysctl = { "net/x": "1" };
    },
  ],
  [
    "invalid_argument",
    'linux.sysctl["net.x"]: is not allowed',
    (c) => {
      c.linux.namespaces[4].path = "/proc/self/ns/net";
      c.linux.sysctl = { "net.x": "1" };
    },
  ],
  [
    "invalid_argument",
    'linux.sysctl["fs.mqueue.msg_max"]: is not allowed',
    (c) => {
      without("ipc")(c);
      c.linux.sysctl = { "fs.mqueue.msg_max": "1" };
    },
  ],
  [
    "invalid_argument",
    'linux.sysctl["net/../kernel/core_pattern"]: is not the name',
    (c) => (c.linux.sysctl = { "net/../kernel/core_pattern": "1" }),
  ],
  [
    "invalid_argument",
    "config.json: hostname",
    (c) => {
      without("uts")(c);
      c.hostname = "x";
    },
  ],
])("%s: %s", (code, words, change) => {
  expect(() => plan({ change })).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
});

test.each([[{ systemdCgroup: true }, "options.systemd_cgroup"]])("%j is refused by name", (given, words) => {
  expect(() => plan({ options: given })).toThrow(
    expect.objectContaining({ code: "unimplemented", message: expect.stringContaining(words) }),
  );
});

test("options: no pivot, no keyring, the pipes' owner; propagation of the root", () => {
  const { child, birth, keyring } = plan({
    options: { noPivotRoot: true, noNewKeyring: true, ioUid: 7, ioGid: 8 },
    change: (config) => (config.linux.rootfsPropagation = "rshared"),
  });
  expect(child).toContain("PIVOT 1 0x0");
  expect(child.filter((line) => line.startsWith("ROOT_PROPAGATION"))).toEqual([
    "ROOT_PROPAGATION 0x104000",
    "ROOT_PROPAGATION 0x104000",
  ]);
  expect(child.lastIndexOf("ROOT_PROPAGATION 0x104000")).toBeGreaterThan(child.indexOf('MASK "/proc/keys"'));
  expect(names(birth.ops)).not.toContain("NEW_KEYRING");
  expect([keyring, birth.ioUid, birth.ioGid]).toEqual(["", 7, 8]);
});

test("capabilities that nobody knows are left out with a warning; without the member there are none", () => {
  const { warnings, child } = plan({
    change: (config) =>
      (config.process.capabilities = { bounding: ["CAP_CHOWN", "CAP_NOSUCH"], ambient: ["CAP_KILL"] }),
  });
  expect(warnings).toEqual([
    "config.json: process.capabilities: cannot be had and left out: CAP_NOSUCH, CAP_KILL (ambient)",
  ]);
  expect(child).toContain("CAPABILITIES 0x1 0x0 0x0 0x0 0x0");
  expect(plan({ change: (config) => delete config.process.capabilities }).child).toContain(
    "CAPABILITIES 0x0 0x0 0x0 0x0 0x0",
  );
});

describe("scheduling", () => {
  test("of an init: numbers of the kernel, before its privileges go", () => {
    const { child, birth } = plan({
      change: (config) => {
        config.process.scheduler = {
          policy: "SCHED_DEADLINE",
          flags: ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"],
          runtime: 1_000_000,
          deadline: 2_000_000,
          period: 3_000_000,
        };
        config.process.ioPriority = { class: "IOPRIO_CLASS_IDLE", priority: 7 };
        config.linux.personality = { domain: "LINUX32" };
        config.linux.memoryPolicy = { mode: "MPOL_INTERLEAVE", nodes: "1,64", flags: ["MPOL_F_STATIC_NODES"] };
        // Not applicable to an init (config.md).
        config.process.execCPUAffinity = { initial: "0", final: "0" };
      },
    });
    expect(child).toContain("SCHEDULER 6 0x5 0 0 0xf4240 0x1e8480 0x2dc6c0");
    expect(child).toContain("IO_PRIORITY 3 7");
    expect(child).toContain("PERSONALITY 0x8");
    const decoded = decodeOps(birth.ops);
    expect(decoded.find(({ name }) => name === "MEMORY_POLICY")?.args).toEqual([
      0x8003,
      Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]),
    ]);
    const all = names(birth.ops);
    expect(all.indexOf("MEMORY_POLICY")).toBeLessThan(all.indexOf("USER"));
    expect(all).not.toContain("CPU_AFFINITY");
  });

  test.each([
    ["SCHED_OTHER", { nice: -20 }, "0 0x0 4294967276 0"],
    ["SCHED_FIFO", { priority: 99 }, "1 0x0 0 99"],
    ["SCHED_RR", { priority: 1 }, "2 0x0 0 1"],
    ["SCHED_BATCH", { nice: 19 }, "3 0x0 19 0"],
    ["SCHED_ISO", {}, "4 0x0 0 0"],
    ["SCHED_IDLE", {}, "5 0x0 0 0"],
  ])("%s", (policy, more, shown) => {
    const { child } = plan({ change: (config) => (config.process.scheduler = { policy, ...more }) });
    expect(child).toContain(`SCHEDULER ${shown} 0x0 0x0 0x0`);
  });

  test.each([
    ["0", [1]],
    ["0-3,7", [0x8f]],
    [" 1 , ,63,", [2, 0, 0, 0, 0, 0, 0, 0x80]],
    ["64", [0, 0, 0, 0, 0, 0, 0, 0, 1]],
  ])("CPUs %s", (text, bytes) => {
    const mask = [...(parseIdList(text, "p") ?? [])];
    expect(mask.length % 8).toBe(0);
    expect(mask.slice(0, bytes.length)).toEqual(bytes);
    expect(mask.slice(bytes.length).every((byte) => byte === 0)).toBe(true);
  });

  test("no CPUs", () => {
    expect(parseIdList("", "p")).toBeUndefined();
    for (const bad of [",", "x", "-1", "3-1", "1-2-3", "65537", "1-", "0x1", "4294967296"])
      expect(() => parseIdList(bad, "p"), bad).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});

describe("an agent for system calls", () => {
  const seccomp = { program: new Uint8Array(8), flags: 4, agent: { path: "/run/agent", metadata: "m" } };

  test("is told by the helper, so before the wait", () => {
    const change = (config: Config) => {
      config.process.noNewPrivileges = true;
      config.annotations = { a: "1" };
    };
    const { birth } = plan({ seccomp, change });
    expect(names(birth.ops).slice(-3)).toEqual(["SECCOMP_NOTIFY", "WAIT_START", "EXEC"]);
    const args = decodeOps(birth.ops).find(({ name }) => name === "SECCOMP_NOTIFY")?.args ?? [];
    expect(args.slice(1, 3)).toEqual([4, "/run/agent"]);
    const state = { ociVersion: "1.2.0", id: "t1", status: "creating", pid: 77, bundle, annotations: { a: "1" } };
    expect(JSON.parse((args[3] as string[]).join("77"))).toEqual({
      ociVersion: "1.2.0",
      fds: ["seccompFd"],
      pid: 77,
      metadata: "m",
      state,
    });
  });

  test("of an exec: its own pid, and the container's", () => {
    const parts = processStateParts({ id: "t1", bundle: "/b", ociVersion: "1.2.0", annotations: [] }, "", 99);
    expect(JSON.parse(parts.join("5"))).toEqual({
      ociVersion: "1.2.0",
      fds: ["seccompFd"],
      pid: 5,
      state: { ociVersion: "1.2.0", id: "t1", status: "running", pid: 99, bundle: "/b", annotations: {} },
    });
  });
});

describe("labels", () => {
  const selinuxLabel = "system_u:system_r:container_t:s0:c1,c2";
  const mountLabel = "system_u:object_r:container_file_t:s0:c1,c2";

  test("where they go", () => {
    const { child, birth } = plan({
      modules: { apparmor: true, selinux: true },
      change: (config) => {
        Object.assign(config.process, { apparmorProfile: "docker-default", selinuxLabel });
        config.linux.mountLabel = mountLabel;
      },
    });
    const order = names(birth.ops).filter((name) => /LABEL|KEYRING|PIVOT|NO_NEW_PRIVS|^USER/.test(name));
    expect(order).toEqual([
      "FILE_LABEL",
      "PIVOT",
      "LABEL",
      "NEW_KEYRING",
      "LABEL",
      "LABEL",
      "LABEL",
      "NO_NEW_PRIVS",
      "USER",
    ]);
    expect(child.filter((line) => line.startsWith("LABEL"))).toEqual([
      `LABEL "keycreate" "" "${selinuxLabel}"`,
      'LABEL "keycreate" "" ""',
      'LABEL "apparmor/exec" "exec" "exec docker-default"',
      `LABEL "exec" "" "${selinuxLabel}"`,
    ]);
    expect(child).toContain(`FILE_LABEL "/dev/mqueue" "${mountLabel}"`);
    const context = (type: string) =>
      decodeOps(birth.ops)
        .filter(({ name, args }) => name === "BIND_OR_MOUNT" && args[0] === type)
        .map(({ args }) => String(args[6]).includes(`context="${mountLabel}"`));
    expect(context("tmpfs")).toEqual(context("tmpfs").map(() => true));
    expect([...context("devpts"), ...context("proc"), ...context("sysfs"), ...context("mqueue")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test.each([
    ["process.apparmorProfile", (c: Config) => (c.process.apparmorProfile = "p")],
    ["process.selinuxLabel", (c: Config) => (c.process.selinuxLabel = "l")],
    ["linux.mountLabel", (c: Config) => (c.linux.mountLabel = "l")],
  ])("%s on a host without the module", (name, change) => {
    expect(() => plan({ change })).toThrow(
      expect.objectContaining({
        code: "failed_precondition",
        message: expect.stringContaining(`config.json: ${name}`),
      }),
    );
  });

  test("a label that would be another option", () => {
    const modules = { apparmor: false, selinux: true };
    expect(() => plan({ modules, change: (c) => (c.linux.mountLabel = 'x",size=1,context="y') })).toThrow(
      expect.objectContaining({ code: "invalid_argument" }),
    );
  });

  test("modules are found by what they show", () => {
    const none = { apparmor: false, selinux: false };
    const write = (name: string, text: string) => {
      mkdirSync(join(bundle, name, ".."), { recursive: true });
      writeFileSync(join(bundle, name), text);
    };
    expect(detectSecurityModules(bundle)).toEqual(none);
    mkdirSync(join(bundle, "fs/selinux"), { recursive: true });
    mkdirSync(join(bundle, "kernel/security/apparmor"), { recursive: true });
    expect(detectSecurityModules(bundle)).toEqual(none);
    write("module/apparmor/parameters/enabled", "N\n");
    expect(detectSecurityModules(bundle)).toEqual(none);
    write("module/apparmor/parameters/enabled", "Y\n");
    write("fs/selinux/enforce", "0");
    expect(detectSecurityModules(bundle)).toEqual({ apparmor: true, selinux: true });
  });
});

describe("hooks", () => {
  const all = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
  const hooked = (change: (config: Config) => void = () => undefined) =>
    plan({
      change: (config) => {
        config.annotations = { a: "1" };
        config.hooks = Object.fromEntries(all.map((name) => [name, [{ path: `/bin/${name}` }]]));
        config.hooks.createRuntime.push({ path: "/bin/two", args: ["two", "x"], env: ["A=b"], timeout: 3 });
        change(config);
      },
    });

  test("run in their order, each in its place", () => {
    const { child, birth } = hooked();
    const order = names(birth.ops).filter((name) => /HOOK|PIVOT|WAIT_START|^EXEC$|BIND_OR_MOUNT/.test(name));
    expect([...new Set(order)]).toEqual([
      "BIND_OR_MOUNT",
      "RUNTIME_HOOK",
      "CONTAINER_HOOK",
      "PIVOT",
      "WAIT_START",
      "EXEC",
    ]);
    expect(order.slice(order.indexOf("WAIT_START"))).toEqual(["WAIT_START", "CONTAINER_HOOK", "EXEC"]);
    const state = (status: string) =>
      `${JSON.stringify(`{"ociVersion":"1.2.0","id":"t1","status":"${status}","pid":`)} ${JSON.stringify(',"bundle":"BUNDLE","annotations":{"a":"1"}}')}`;
    expect(child.filter((line) => line.includes("HOOK"))).toEqual([
      `RUNTIME_HOOK "prestart hook #0" "/bin/prestart" ["/bin/prestart"] [] 0 "BUNDLE" ${state("creating")}`,
      `RUNTIME_HOOK "createRuntime hook #0" "/bin/createRuntime" ["/bin/createRuntime"] [] 0 "BUNDLE" ${state("creating")}`,
      `RUNTIME_HOOK "createRuntime hook #1" "/bin/two" ["two" "x"] ["A=b"] 3000 "BUNDLE" ${state("creating")}`,
      `CONTAINER_HOOK "createContainer hook #0" "/bin/createContainer" ["/bin/createContainer"] [] 0 "BUNDLE/rootfs" ${state("creating")}`,
      `CONTAINER_HOOK "startContainer hook #0" "/bin/startContainer" ["/bin/startContainer"] [] 0 "" ${state("created")}`,
    ]);
  });

  test("those of the container's start run under its filter", () => {
    const seccomp = { program: new Uint8Array(8), flags: 0, agent: undefined };
    const change = (config: Config) => {
      config.process.noNewPrivileges = true;
      config.hooks = { startContainer: [{ path: "/x" }] };
    };
    expect(names(plan({ seccomp, change }).birth.ops).slice(-4)).toEqual([
      "WAIT_START",
      "SECCOMP",
      "CONTAINER_HOOK",
      "EXEC",
    ]);
  });

  test("later ones are kept with the state, and for delete", () => {
    const { later, birth } = hooked();
    expect(birth.teardown).toMatch(/^hook [0-9a-f]+$/m);
    expect(later).toMatchObject({ poststart: [{ path: "/bin/poststart" }], poststop: [{ path: "/bin/poststop" }] });
    const { placement, keyring } = plan();
    const handle = encodeHandle({
      placement,
      namespaces: 0n,
      pid: 9,
      mountPoint: "",
      boundRoot: "",
      keyring,
      ioUid: 0,
      ioGid: 0,
      later,
    });
    const read = decodeHandle({ id: "t1", bundle, handle: JSON.parse(JSON.stringify(handle)) });
    expect(read.later).toEqual(later);
    expect(plan().later).toBeUndefined();
  });
});

describe("exec", () => {
  const execIn = (process: object, terminal = false, change?: Wish["change"], modules?: SecurityModules) => {
    const { placement, namespaces, mountPoint, boundRoot, keyring } = plan(change ? { change } : {});
    const handle = encodeHandle({
      placement,
      namespaces: namespaces.all,
      pid: 99,
      mountPoint,
      boundRoot,
      keyring,
      ioUid: 3,
      ioGid: 4,
      later: undefined,
    });
    const container = { id: "t1", bundle, handle: JSON.parse(JSON.stringify(handle)) };
    const config = openBundle(bundle).spec;
    const spec = { execId: "e1", stdio: { stdin: "", stdout: "/out", stderr: "", terminal }, process: "" };
    return planExec(
      container,
      decodeHandle(container),
      spec,
      { own: parseProcess(JSON.stringify(process)), spec: config },
      {
        namespace: "default",
        seccomp: undefined,
        lastCapability: 40,
        modules: modules ?? { apparmor: false, selinux: false },
        caller: root,
        warn: (message) => {
          throw new Error(message);
        },
      },
    );
  };

  test("runs where it is told to, and else as its container's init", () => {
    const change = (config: Config) => {
      config.process.scheduler = { policy: "SCHED_BATCH", nice: 3 };
      config.process.ioPriority = { class: "IOPRIO_CLASS_BE", priority: 1 };
      config.process.execCPUAffinity = { initial: "0", final: "1" };
      config.linux.personality = { domain: "LINUX32" };
    };
    const of = (more: object) => execIn({ args: ["id"], cwd: "/", ...more }, false, change);
    const inherited = of({});
    expect(decodeOps(inherited.birth.script)).toMatchObject([
      { name: "INITIAL_CPU_AFFINITY", args: [Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])] },
    ]);
    expect(decodeOps(inherited.birth.ops)[0]).toMatchObject({
      name: "CPU_AFFINITY",
      args: [Buffer.from([2, 0, 0, 0, 0, 0, 0, 0])],
    });
    expect(inherited.ops.map(({ name }) => name).slice(0, 2)).toEqual(["initialCpuAffinity", "cpuAffinity"]);
    expect(showOps(inherited.birth.ops)).toEqual(
      expect.arrayContaining(["SCHEDULER 3 0x0 3 0 0x0 0x0 0x0", "IO_PRIORITY 2 1", "PERSONALITY 0x8"]),
    );
    const own = of({
      scheduler: { policy: "SCHED_OTHER", nice: 5 },
      ioPriority: { class: "IOPRIO_CLASS_RT", priority: 0 },
      execCPUAffinity: { initial: "", final: "" },
    });
    expect(showOps(own.birth.ops)).toEqual(
      expect.arrayContaining(["SCHEDULER 0 0x0 5 0 0x0 0x0 0x0", "IO_PRIORITY 1 0"]),
    );
    expect(own.birth.script).toHaveLength(0);
    expect(() => of({ execCPUAffinity: { final: "a" } })).toThrow("process.execCPUAffinity.final");
  });

  test("enters what the container has, in its cgroups, and does not wait", () => {
    const { birth } = execIn({
      args: ["id"],
      cwd: "/tmp",
      user: { uid: 1000, gid: 100, additionalGids: [5] },
      noNewPrivileges: true,
    });
    expect(birth.initNamespaces).toBe(0x20000000n | 0x08000000n | 0x04000000n | 0x20000n | 0x40000000n);
    expect(birth.cgroup).toEqual({ version: 2, directories: ["/nosuch/cgroup/default/t1"] });
    expect([birth.ioUid, birth.ioGid, birth.teardown, birth.watch.version]).toEqual([3, 4, "", 0]);
    expect(showOps(birth.ops)).toEqual([
      'NEW_KEYRING "_ses.t1"',
      "RLIMIT 7 0x400 0x400",
      "NO_NEW_PRIVS",
      'CWD? "/tmp"',
      "USER 1000 100 [5]",
      'CWD "/tmp"',
      "CAPABILITIES 0xa80425fb 0xa80425fb 0x0 0xa80425fb 0x0",
      'FIND ["id"] []',
      'EXEC ["id"] []',
    ]);
  });

  test("the request's terminal wins, what the process says of itself is first", () => {
    const { birth } = execIn(
      {
        args: ["sh"],
        cwd: "/",
        capabilities: {},
        oomScoreAdj: 5,
        rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 0 }],
        consoleSize: { width: 100, height: 30 },
        user: { umask: 0o77 },
      },
      true,
    );
    expect(birth.terminal).toBe(true);
    expect(showOps(birth.ops)).toEqual([
      "CONSOLE 100 30",
      'NEW_KEYRING "_ses.t1"',
      "RLIMIT 4 0x0 0x0",
      "OOM_SCORE_ADJ 5",
      "UMASK 63",
      'CWD? "/"',
      "USER 0 0 []",
      'CWD "/"',
      "CAPABILITIES 0x0 0x0 0x0 0x0 0x0",
      'FIND ["sh"] []',
      'EXEC ["sh"] []',
    ]);
  });

  test("without a mount namespace it changes into the container's root first", () => {
    const ops = showOps(execIn({ args: ["a"], cwd: "/" }, false, shared).birth.ops);
    expect(ops.slice(0, 2)).toEqual([`ROOT "${bundle}/rootfs"`, "CHROOT"]);
  });

  test("in a user namespace it is root there first", () => {
    const { birth } = execIn({ args: ["a"], cwd: "/" }, true, (config) => {
      config.linux.namespaces.push({ type: "user", path: "/proc/7/ns/user" });
    });
    expect(birth.initNamespaces & 0x1000_0000n).not.toBe(0n);
    expect(names(birth.ops).slice(0, 2)).toEqual(["USER_ROOT", "CONSOLE"]);
  });

  test("has its own label", () => {
    const modules = { apparmor: true, selinux: false };
    const { birth } = execIn({ args: ["a"], cwd: "/", apparmorProfile: "p" }, false, undefined, modules);
    expect(showOps(birth.ops)).toContain('LABEL "apparmor/exec" "exec" "exec p"');
    expect(() => execIn({ args: ["a"], cwd: "/", selinuxLabel: "l" }, false, undefined, modules)).toThrow(
      "process.selinuxLabel: selinux label is specified in config",
    );
  });

  test("a mistake is named as the exec's", () => {
    expect(() => execIn({ args: ["a"], cwd: "/", ioPriority: { class: "IOPRIO_CLASS_X", priority: 1 } })).toThrow(
      'process.ioPriority.class: "IOPRIO_CLASS_X" is not known',
    );
  });
});

test("a handle that is none is data loss, not a guess", () => {
  for (const handle of [{}, { runtime: "native" }, { runtime: "native", cgroups: "v2", places: [], pid: "1" }]) {
    expect(() => decodeHandle({ id: "t1", bundle, handle })).toThrow(expect.objectContaining({ code: "data_loss" }));
  }
});
