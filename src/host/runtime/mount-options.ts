/**
 * Mount options and their flags (mount(2), include/uapi/linux/mount.h). One table for both writers of options: the mounts of
 * config.json (OCI config.md, "Linux mount options") and the root file system's mounts of the Create request.
 */
export const MS = {
  RDONLY: 1n,
  NOSUID: 2n,
  NODEV: 4n,
  NOEXEC: 8n,
  SYNCHRONOUS: 16n,
  REMOUNT: 32n,
  MANDLOCK: 64n,
  DIRSYNC: 128n,
  NOSYMFOLLOW: 256n,
  NOATIME: 1024n,
  NODIRATIME: 2048n,
  BIND: 4096n,
  REC: 16384n,
  SILENT: 32768n,
  UNBINDABLE: 1n << 17n,
  PRIVATE: 1n << 18n,
  SLAVE: 1n << 19n,
  SHARED: 1n << 20n,
  RELATIME: 1n << 21n,
  I_VERSION: 1n << 23n,
  STRICTATIME: 1n << 24n,
  LAZYTIME: 1n << 25n,
} as const;

export const propagations: ReadonlyMap<string, bigint> = new Map([
  ["private", MS.PRIVATE],
  ["rprivate", MS.PRIVATE | MS.REC],
  ["slave", MS.SLAVE],
  ["rslave", MS.SLAVE | MS.REC],
  ["shared", MS.SHARED],
  ["rshared", MS.SHARED | MS.REC],
  ["unbindable", MS.UNBINDABLE],
  ["runbindable", MS.UNBINDABLE | MS.REC],
]);

const setters: readonly (readonly [string, bigint])[] = [
  ["bind", MS.BIND],
  ["rbind", MS.BIND | MS.REC],
  ["dirsync", MS.DIRSYNC],
  ["iversion", MS.I_VERSION],
  ["lazytime", MS.LAZYTIME],
  ["mand", MS.MANDLOCK],
  ["noatime", MS.NOATIME],
  ["nodev", MS.NODEV],
  ["nodiratime", MS.NODIRATIME],
  ["noexec", MS.NOEXEC],
  ["nosuid", MS.NOSUID],
  ["nosymfollow", MS.NOSYMFOLLOW],
  ["relatime", MS.RELATIME],
  ["remount", MS.REMOUNT],
  ["ro", MS.RDONLY],
  ["silent", MS.SILENT],
  ["strictatime", MS.STRICTATIME],
  ["sync", MS.SYNCHRONOUS],
];

const clearers: readonly (readonly [string, bigint])[] = [
  ["async", MS.SYNCHRONOUS],
  ["atime", MS.NOATIME],
  ["dev", MS.NODEV],
  ["diratime", MS.NODIRATIME],
  ["exec", MS.NOEXEC],
  ["loud", MS.SILENT],
  ["noiversion", MS.I_VERSION],
  ["nolazytime", MS.LAZYTIME],
  ["nomand", MS.MANDLOCK],
  ["norelatime", MS.RELATIME],
  ["nostrictatime", MS.STRICTATIME],
  ["rw", MS.RDONLY],
  ["suid", MS.NOSUID],
  ["symfollow", MS.NOSYMFOLLOW],
];

const sets: ReadonlyMap<string, bigint> = new Map(setters);
const clears: ReadonlyMap<string, bigint> = new Map(clearers);

/** Attributes of mount_setattr(2), include/uapi/linux/mount.h. */
const ATTR = {
  RDONLY: 1n,
  NOSUID: 2n,
  NODEV: 4n,
  NOEXEC: 8n,
  /** Kinds of access times exclude each other: who sets one clears this. None of them is "relatime". */
  ATIME: 0x70n,
  NOATIME: 0x10n,
  STRICTATIME: 0x20n,
  NODIRATIME: 0x80n,
  NOSYMFOLLOW: 0x200000n,
} as const;

/** For a mount and all below it (OCI config.md, "Linux mount options"): what is cleared and then set. */
const recursive: ReadonlyMap<string, readonly [clear: bigint, set: bigint]> = new Map([
  ["rro", [ATTR.RDONLY, ATTR.RDONLY]],
  ["rrw", [ATTR.RDONLY, 0n]],
  ["rnosuid", [ATTR.NOSUID, ATTR.NOSUID]],
  ["rsuid", [ATTR.NOSUID, 0n]],
  ["rnodev", [ATTR.NODEV, ATTR.NODEV]],
  ["rdev", [ATTR.NODEV, 0n]],
  ["rnoexec", [ATTR.NOEXEC, ATTR.NOEXEC]],
  ["rexec", [ATTR.NOEXEC, 0n]],
  ["rnodiratime", [ATTR.NODIRATIME, ATTR.NODIRATIME]],
  ["rdiratime", [ATTR.NODIRATIME, 0n]],
  ["rnoatime", [ATTR.ATIME, ATTR.NOATIME]],
  ["ratime", [ATTR.ATIME, 0n]],
  ["rrelatime", [ATTR.ATIME, 0n]],
  // Which kind instead it does not say, so it changes nothing, as with runc.
  ["rnorelatime", [0n, 0n]],
  ["rstrictatime", [ATTR.ATIME, ATTR.STRICTATIME]],
  ["rnostrictatime", [ATTR.ATIME, 0n]],
  ["rnosymfollow", [ATTR.NOSYMFOLLOW, ATTR.NOSYMFOLLOW]],
  ["rsymfollow", [ATTR.NOSYMFOLLOW, 0n]],
]);

// Not flags but ways of mounting: so never file system data.
const special: ReadonlySet<string> = new Set(["idmap", "ridmap", "tmpcopyup", "loop"]);
/** Only for the root file system's mounts, which are no mounts of config.json. */
const rootOnly = "loop";

export interface MountOptions {
  readonly flags: bigint;
  readonly clear: bigint;
  /** 0n: leave. */
  readonly propagation: bigint;
  /** Of the mount and of all below it. */
  readonly attributes: { readonly set: bigint; readonly clear: bigint };
  readonly data: readonly string[];
  /** Of "idmap", "ridmap", "tmpcopyup", "loop" those that were given. */
  readonly special: ReadonlySet<string>;
}

export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0n;
  let clear = 0n;
  let propagation = 0n;
  const data: string[] = [];
  const given = new Set<string>();
  const attributes = { set: 0n, clear: 0n };
  for (const option of options) {
    const set = sets.get(option);
    const cleared = clears.get(option);
    const spread = propagations.get(option);
    const deep = recursive.get(option);
    // The last word counts: "ro,rw" is writable.
    if (set !== undefined) {
      flags |= set;
      clear &= ~set;
    } else if (cleared !== undefined) {
      flags &= ~cleared;
      clear |= cleared;
    } else if (spread !== undefined) propagation |= spread;
    else if (deep !== undefined) {
      const [cleared, set] = deep;
      attributes.clear |= cleared;
      attributes.set = (attributes.set & ~cleared) | set;
    } else if (special.has(option)) given.add(option);
    else if (option !== "defaults" && option !== "") data.push(option);
  }
  return { flags, clear, propagation, attributes, data, special: given };
}

/** Every option of config.json's mounts that is understood here and not handed on to a file system. */
export const mountOptionNames = (): string[] =>
  [...sets.keys(), ...clears.keys(), ...propagations.keys(), ...recursive.keys(), ...special, "defaults"]
    .filter((name) => name !== rootOnly)
    .sort();
