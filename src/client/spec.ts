/** An OCI runtime configuration for a container that no manager describes: what `ctr run` would write, from a few choices. */

export interface ContainerChoices {
  readonly argv: readonly string[];
  readonly env?: readonly string[];
  readonly cwd?: string;
  readonly user?: { readonly uid: number; readonly gid: number };
  readonly hostname?: string;
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
  /** Absolute, or relative to the bundle. */
  readonly rootPath: string;
  readonly readonlyRoot?: boolean;
  /** `none`: a network namespace of its own with only loopback. `host`: the host's network. */
  readonly network?: "host" | "none";
  readonly cgroupsPath: string;
  readonly limits?: ResourceLimits;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ResourceLimits {
  readonly memoryBytes?: bigint;
  /** Memory and swap together; equal to `memoryBytes` where swap is not wanted. */
  readonly memoryAndSwapBytes?: bigint;
  readonly cpus?: number;
  readonly pids?: number;
}

export interface ProcessSpec {
  readonly terminal: boolean;
  readonly consoleSize?: { readonly width: number; readonly height: number };
  readonly user: { readonly uid: number; readonly gid: number };
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Readonly<Record<"bounding" | "effective" | "permitted", readonly string[]>>;
  readonly rlimits: readonly { readonly type: string; readonly hard: number; readonly soft: number }[];
  readonly noNewPrivileges: boolean;
}

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// containerd's pkg/oci default set, the same that Docker grants.
const defaultCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

const mounts = [
  { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
  {
    destination: "/dev",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
  {
    destination: "/dev/pts",
    type: "devpts",
    source: "devpts",
    options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
  },
  {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
  },
  { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
  // Runtimes such as the JVM and Node size their heaps by what they read here.
  {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
  },
  {
    destination: "/run",
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
  },
];

// A container with the host's network needs the host's names; both files may be absent there.
const hostNameFiles = ["/etc/resolv.conf", "/etc/hosts"].map((file) => ({
  destination: file,
  type: "bind",
  source: file,
  options: ["rbind", "ro", "nosuid", "nodev", "noexec"],
}));

const maskedPaths = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/sys/firmware",
  "/sys/devices/virtual/powercap",
];

const readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

// Everything is denied but making nodes, and the devices which every container has (OCI runtime spec, "Default Devices").
const devices = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 1],
    [5, 2],
  ].map(([major, minor]) => ({ allow: true, type: "c", major, minor, access: "rwm" })),
  { allow: true, type: "c", major: 136, access: "rwm" },
];

const cpuPeriodMicroseconds = 100_000;

export function processSpec(choices: Omit<ContainerChoices, "rootPath" | "cgroupsPath">): ProcessSpec {
  const terminal = choices.terminal;
  const env = [...(choices.env ?? [])];
  if (terminal && !env.some((entry) => entry.startsWith("TERM="))) env.unshift("TERM=xterm");
  if (!env.some((entry) => entry.startsWith("PATH="))) env.unshift(defaultPath);
  return {
    terminal: terminal !== undefined,
    ...(terminal && terminal.columns > 0 && { consoleSize: { width: terminal.columns, height: terminal.rows } }),
    user: choices.user ?? { uid: 0, gid: 0 },
    args: choices.argv,
    env,
    cwd: choices.cwd ?? "/",
    capabilities: {
      bounding: defaultCapabilities,
      effective: defaultCapabilities,
      permitted: defaultCapabilities,
    },
    rlimits: [{ type: "RLIMIT_NOFILE", hard: 1024, soft: 1024 }],
    noNewPrivileges: true,
  };
}

function resources(limits: ResourceLimits): object {
  const { memoryBytes, memoryAndSwapBytes, cpus, pids } = limits;
  return {
    devices,
    // JSON has no 64-bit integers; a limit beyond 2^53 bytes is no limit anywhere.
    ...(memoryBytes !== undefined && {
      memory: {
        limit: Number(memoryBytes),
        ...(memoryAndSwapBytes !== undefined && { swap: Number(memoryAndSwapBytes) }),
      },
    }),
    ...(cpus !== undefined && {
      cpu: { quota: Math.round(cpus * cpuPeriodMicroseconds), period: cpuPeriodMicroseconds },
    }),
    ...(pids !== undefined && { pids: { limit: pids } }),
  };
}

/** The content of `config.json`. */
export const containerSpec = (choices: ContainerChoices): object => specOf(choices);

function specOf(choices: ContainerChoices) {
  const hostNetwork = choices.network === "host";
  const namespaces = ["pid", "ipc", "uts", "mount", "cgroup", ...(hostNetwork ? [] : ["network"])];
  return {
    ociVersion: "1.1.0",
    process: processSpec(choices),
    root: { path: choices.rootPath, readonly: choices.readonlyRoot ?? false },
    ...(choices.hostname !== undefined && { hostname: choices.hostname }),
    mounts: hostNetwork ? [...mounts, ...hostNameFiles] : mounts,
    ...(choices.annotations && { annotations: choices.annotations }),
    linux: {
      cgroupsPath: choices.cgroupsPath,
      resources: resources(choices.limits ?? {}),
      namespaces: namespaces.map((type) => ({ type })),
      maskedPaths,
      readonlyPaths,
    },
  };
}

/**
 * What an unprivileged user can have of it, as `runc spec --rootless` tells: his own id as root of a user namespace, the host's
 * network and with it the host's /sys, no group for terminals, no cgroups.
 */
export function userSpec(choices: ContainerChoices, own: { readonly uid: number; readonly gid: number }): object {
  const { cgroupsPath: _path, resources: _resources, namespaces, ...linux } = specOf(choices).linux;
  const sys = {
    destination: "/sys",
    type: "none",
    source: "/sys",
    options: ["rbind", "nosuid", "noexec", "nodev", "ro"],
  };
  const map = (hostID: number) => [{ containerID: 0, hostID, size: 1 }];
  return {
    ...specOf(choices),
    mounts: mounts.map(({ options, ...mount }) =>
      mount.destination === "/sys" ? sys : { ...mount, options: options.filter((option) => option !== "gid=5") },
    ),
    linux: {
      ...linux,
      uidMappings: map(own.uid),
      gidMappings: map(own.gid),
      namespaces: [...namespaces.filter(({ type }) => type !== "network"), { type: "user" }],
    },
  };
}
