// The configuration that every test starts from, and how a test changes it.

/** Plain JSON, as tests also write what no type would allow. Objects merge, arrays replace, undefined leaves the key out. */
export interface Edit {
  readonly [key: string]: unknown;
}

function isObject(value: unknown): value is Edit {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function merge(base: Edit, edit: Edit): Edit {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(edit)) {
    const before = merged[key];
    merged[key] = isObject(before) && isObject(value) ? merge(before, value) : value;
  }
  return merged;
}

export interface Mount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly [key: string]: unknown;
}

export const defaultMounts: readonly Mount[] = [
  { destination: "/proc", type: "proc", source: "proc" },
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
  { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"] },
];

/** The usual mounts and, after them, more. */
export function mounts(...more: Mount[]): Edit {
  return { mounts: [...defaultMounts, ...more] };
}

const usualNamespaces = ["pid", "network", "ipc", "uts", "mount"];

/** The usual namespaces, but with this entry instead of, or besides, the usual one of its type; or without a type. */
export function namespaces(change: { readonly with?: readonly Edit[]; readonly without?: readonly string[] }): Edit {
  const given = change.with ?? [];
  const usual = usualNamespaces.filter(
    (type) => !change.without?.includes(type) && !given.some((entry) => entry.type === type),
  );
  return { linux: { namespaces: [...usual.map((type) => ({ type })), ...given] } };
}

const usualCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_NET_BIND_SERVICE",
  "CAP_SETGID",
  "CAP_SETPCAP",
  "CAP_SETUID",
  "CAP_SYS_CHROOT",
];

export function defaultConfig(cgroupsPath: string): Edit {
  return {
    // The oldest version that all tested runtimes know; what came later needs no newer number to be read.
    ociVersion: "1.0.2",
    root: { path: "rootfs" },
    hostname: "conformance",
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ["true"],
      env: ["PATH=/bin"],
      cwd: "/",
      capabilities: { bounding: usualCapabilities, effective: usualCapabilities, permitted: usualCapabilities },
    },
    mounts: defaultMounts,
    linux: {
      namespaces: usualNamespaces.map((type) => ({ type })),
      cgroupsPath,
      resources: { devices: [{ allow: false, access: "rwm" }] },
    },
  };
}

export function script(text: string): Edit {
  return { process: { args: ["sh", "-c", text] } };
}
