import { execFile } from "node:child_process";
import { closeSync, constants, existsSync, openSync, readFileSync, statfsSync, statSync } from "node:fs";
import { release } from "node:os";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { findRootfs, findShim, type Places } from "../client/places.js";
import { listShims } from "../client/records.js";
import { type CgroupHost, detectCgroups } from "../host/cgroup/detect.js";

export type Level = "ok" | "warn" | "fail";

/** One thing that this host offers or lacks, and for what is not right what to do. */
export interface Finding {
  readonly topic: string;
  readonly level: Level;
  readonly found: string;
  readonly next?: string;
}

type Check = (at: Places) => Finding | Finding[] | Promise<Finding>;

/** `level` of what is not right; right is always "ok". */
function judge(topic: string, right: boolean, level: Level, found: string, next: string): Finding {
  return right ? { topic, level: "ok", found } : { topic, level, found, next };
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function atLeast(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.replace(/^v/, "").split(".").map(Number.parseFloat);
  return a > major || (a === major && b >= minor);
}

const user: Check = () =>
  judge(
    "user",
    process.getuid?.() === 0,
    "fail",
    process.getuid?.() === 0 ? "root" : `uid ${process.getuid?.()}`,
    "containers need root here: run vigil with sudo",
  );

const kernel: Check = () =>
  // CLONE_INTO_CGROUP is of 5.7, the per-process lines of the kernel log that name a victim's cgroup of 5.0.
  judge("kernel", atLeast(release(), 5, 7), "fail", release(), "vigil needs Linux 5.7 or newer: upgrade the kernel");

const node: Check = () =>
  judge("node", atLeast(process.version, 20, 0), "fail", process.version, "install Node.js 20 or newer");

const shim: Check = () => {
  try {
    return { topic: "shim", level: "ok", found: findShim() };
  } catch (error) {
    return { topic: "shim", level: "fail", found: (error as Error).message, next: "make install, or set VIGIL_SHIM" };
  }
};

const rootfs: Check = () => {
  try {
    return { topic: "default rootfs", level: "ok", found: findRootfs() };
  } catch (error) {
    const found = (error as Error).message;
    return { topic: "default rootfs", level: "warn", found, next: "only `vigil run` without --rootfs needs it" };
  }
};

const cgroups: Check = () => {
  let host: CgroupHost;
  try {
    host = detectCgroups();
  } catch (error) {
    const next = "mount it: mount -t cgroup2 none /sys/fs/cgroup";
    return { topic: "cgroups", level: "fail", found: (error as Error).message, next };
  }
  const offered = new Set(host.hierarchies.flatMap(({ controllers }) => controllers));
  const missing = ["memory", "cpu", "pids"].filter((name) => !offered.has(name));
  return [
    { topic: "cgroups", level: "ok", found: host.mode === "v2" ? "v2" : `${host.mode} (controllers on v1)` },
    judge(
      "controllers",
      missing.length === 0,
      missing.includes("memory") ? "fail" : "warn",
      missing.length === 0 ? [...offered].sort().join(" ") : `without ${missing.join(", ")}`,
      missing.includes("memory")
        ? "no memory limit and no OOM report without it: boot with cgroup_enable=memory"
        : "limits of that kind are refused; see /proc/cgroups",
    ),
    ...delegation(host),
  ];
};

function delegation(host: CgroupHost): Finding[] {
  const unified = host.hierarchies.find(({ version }) => version === 2);
  if (host.mode !== "v2" || !unified) return [];
  const passed = (text(`${unified.mountPoint}/cgroup.subtree_control`) ?? "").split(/\s+/);
  const lacking = ["memory", "cpu", "pids"].filter((name) => !passed.includes(name));
  const found = lacking.length === 0 ? "memory cpu pids" : `the root does not pass on ${lacking.join(", ")} yet`;
  const next =
    "vigil turns them on when it can; it cannot while processes sit in the root of a container's cgroup tree";
  return [judge("delegation", lacking.length === 0, "warn", found, next)];
}

const kernelLog: Check = () => {
  try {
    closeSync(openSync("/dev/kmsg", constants.O_RDONLY | constants.O_NONBLOCK));
    return { topic: "kernel log", level: "ok", found: "/dev/kmsg can be read: reports name the killed process" };
  } catch (error) {
    const next = "reports work, but may not name the victim: give /dev/kmsg or CAP_SYSLOG";
    return { topic: "kernel log", level: "warn", found: (error as Error).message, next };
  }
};

const inotify: Check = () => {
  const instances = Number(text("/proc/sys/fs/inotify/max_user_instances") ?? 0);
  const next =
    "OOM kills are still seen through epoll; sysctl -w fs.inotify.max_user_instances=128 adds a second source";
  return judge("inotify", instances > 0, "warn", `${instances} instances a user`, next);
};

const seccomp: Check = () => {
  const actions = text("/proc/sys/kernel/seccomp/actions_avail")?.trim();
  const next = "a configuration with linux.seccomp is refused; the kernel lacks CONFIG_SECCOMP_FILTER";
  return judge("seccomp", actions !== undefined, "warn", actions ?? "not in this kernel", next);
};

const pressure: Check = () => {
  const present = text("/proc/pressure/memory") !== undefined;
  const found = present ? "memory, cpu and io are measured" : "off";
  return judge("pressure", present, "warn", found, "stats and reports lack pressure: boot with psi=1");
};

const swap: Check = () => {
  const devices = (text("/proc/swaps") ?? "").trim().split("\n").length - 1;
  const found = devices > 0 ? `${devices} in use; vigil run limits memory and swap together` : "none";
  return { topic: "swap", level: "ok", found };
};

const overlay: Check = (at) => {
  const known = /\boverlay$/m.test(text("/proc/filesystems") ?? "");
  let base = at.run;
  while (!existsSync(base)) base = dirname(base);
  const nested = statfsSync(base).type === 0x794c7630; // OVERLAYFS_SUPER_MAGIC
  const found = nested ? `${base} is itself on an overlay` : known ? "available" : "not loaded";
  const next = nested
    ? "each `vigil run` copies the default rootfs; set VIGIL_RUN to a directory on a plain file system"
    : "modprobe overlay";
  return judge("overlay", known && !nested, "warn", found, next);
};

const directories: Check = (at) => {
  if (!existsSync(at.run))
    return { topic: "run directory", level: "ok", found: `${at.run}, made by the first container` };
  const { mode, uid } = statSync(at.run);
  const open = (mode & 0o077) !== 0 || uid !== process.getuid?.();
  const next = `others can reach the shims' sockets: chown root ${at.run} && chmod 700 ${at.run}`;
  return judge("run directory", !open, "fail", `${at.run}, mode ${(mode & 0o777).toString(8)}, uid ${uid}`, next);
};

const records: Check = (at) => {
  const shims = listShims(at);
  const dead = shims.filter(({ alive }) => !alive);
  const names = dead.flatMap(({ namespace, group, containers }) =>
    containers.length > 0 ? containers.map(({ id }) => `${namespace}/${id}`) : [`${namespace}/${group}`],
  );
  return judge(
    "shims",
    dead.length === 0,
    "warn",
    `${shims.length - dead.length} running${dead.length > 0 ? `, ${dead.length} dead: ${names.join(", ")}` : ""}`,
    "containerd clears its own away when it starts; the rest: vigil rm -f NAME",
  );
};

const containerd: Check = async () => {
  const run = promisify(execFile);
  try {
    const { stdout } = await run("containerd", ["--version"], { timeout: 5_000 });
    const version = /\bv?(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1] ?? "0";
    const next = "containerd 1.7 or newer is tested; older ones may work";
    return judge("containerd", atLeast(version, 1, 7), "warn", version, next);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const found = missing ? "not installed; `vigil run` does not need it" : (error as Error).message;
    return missing
      ? { topic: "containerd", level: "ok", found }
      : { topic: "containerd", level: "warn", found, next: "run `containerd --version` by hand" };
  }
};

const checks: readonly Check[] = [
  user,
  kernel,
  node,
  shim,
  rootfs,
  cgroups,
  kernelLog,
  inotify,
  seccomp,
  pressure,
  swap,
  overlay,
  directories,
  records,
  containerd,
];

export async function checkHost(at: Places): Promise<Finding[]> {
  const findings = await Promise.all(checks.map(async (check) => check(at)));
  return findings.flat();
}
