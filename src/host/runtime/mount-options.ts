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

// Understood, so never file system data: each needs mount_setattr(2), a loop device or a copy, which birth plans lack.
const unimplemented: ReadonlySet<string> = new Set([
  ...["rro", "rrw", "rnosuid", "rsuid", "rnodev", "rdev", "rnoexec", "rexec", "rnodiratime", "rdiratime"],
  ...["rrelatime", "rnorelatime", "rnoatime", "ratime", "rstrictatime", "rnostrictatime", "rnosymfollow", "rsymfollow"],
  ...["idmap", "ridmap", "tmpcopyup", "loop"],
]);

export interface MountOptions {
  readonly flags: bigint;
  readonly clear: bigint;
  /** 0n: leave. */
  readonly propagation: bigint;
  readonly data: readonly string[];
  readonly unimplemented: readonly string[];
}

export function parseMountOptions(options: readonly string[]): MountOptions {
  let flags = 0n;
  let clear = 0n;
  let propagation = 0n;
  const data: string[] = [];
  const refused: string[] = [];
  for (const option of options) {
    const set = sets.get(option);
    const cleared = clears.get(option);
    const spread = propagations.get(option);
    // The last word counts: "ro,rw" is writable.
    if (set !== undefined) {
      flags |= set;
      clear &= ~set;
    } else if (cleared !== undefined) {
      flags &= ~cleared;
      clear |= cleared;
    } else if (spread !== undefined) propagation |= spread;
    else if (unimplemented.has(option)) refused.push(option);
    else if (option !== "defaults" && option !== "") data.push(option);
  }
  return { flags, clear, propagation, data, unimplemented: refused };
}

/** Every option that is understood here and not handed on to a file system. */
export const mountOptionNames = (): string[] =>
  [...sets.keys(), ...clears.keys(), ...propagations.keys(), "defaults"].sort();
