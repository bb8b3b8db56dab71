import { statfsSync, statSync } from "node:fs";
import { basename, isAbsolute, join, normalize } from "node:path";
import { VigilError } from "../../base/errors.js";
import type { Placement } from "../cgroup/placement.js";
import { bindOrMount, cgroupMount, fileLabel, idmapBind, mountAttributes, type Op, tmpfsCopy } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { LinuxSpec, SpecMount } from "../oci/spec.js";
import { idMapText } from "./id-maps.js";
import { labelled } from "./labels.js";
import { type MountOptions, MS, parseMountOptions } from "./mount-options.js";
import { isMapped } from "./plan-user-namespace.js";

export interface MountPlan {
  readonly ops: Op[];
  /** To be done when nothing more is made in them: file systems which are read-only, but in which mount points are missing. */
  readonly late: Op[];
  /** The container brings its own /dev, which is left as it is. */
  readonly ownDev: boolean;
}

interface MountSurroundings {
  readonly bundle: string;
  readonly placement: Placement;
  /** The container is in one, its own or somebody else's. */
  readonly userNamespace: boolean;
  readonly linux: LinuxSpec;
  /** linux.mountLabel; empty: none. */
  readonly label: string;
  readonly warn: (message: string) => void;
}

function cgroups(target: string, { flags }: MountOptions, { mode, places }: Placement): Op {
  if (mode === "v2") {
    const hostDirectory = places[0]?.directory ?? "";
    return cgroupMount(2, target, flags, [{ name: "", hostDirectory, options: "" }]);
  }
  return cgroupMount(
    1,
    target,
    flags,
    places.map(({ version, mountPoint, directory, options }) => ({
      name: basename(mountPoint),
      hostDirectory: directory,
      options: version === 2 ? "cgroup2" : options,
    })),
  );
}

/** The maps of a bind mount with other ids; empty texts: the container's own. */
function idMaps(mount: SpecMount, { special }: MountOptions, at: string, users: boolean): [string, string] | undefined {
  const uids = mount.uidMappings.length > 0;
  if (uids !== mount.gidMappings.length > 0) {
    refuse(`${at}.${uids ? "gidMappings" : "uidMappings"}`, "must be given when the other one is");
  }
  if (uids) {
    return [idMapText(mount.uidMappings, `${at}.uidMappings`), idMapText(mount.gidMappings, `${at}.gidMappings`)];
  }
  if (!special.has("idmap") && !special.has("ridmap")) return undefined;
  if (!users) refuse(`${at}.options`, "idmap without mappings needs a user namespace");
  return ["", ""];
}

function bind(mount: SpecMount, target: string, options: MountOptions, at: string, around: MountSurroundings): Op {
  if (mount.source === "") refuse(`${at}.source`, "must not be empty");
  if (options.data.length > 0) {
    refuse(`${at}.options`, `${JSON.stringify(options.data[0])} is not an option of a bind mount`);
  }
  const maps = idMaps(mount, options, at, around.userNamespace);
  const bound = {
    type: "bind",
    source: isAbsolute(mount.source) ? mount.source : join(around.bundle, mount.source),
    target,
    flags: options.flags | MS.BIND,
    clear: options.clear,
    propagation: options.propagation,
    data: "",
    sourceIsHostPath: true,
  };
  return maps ? idmapBind({ ...bound, maps, recursive: options.special.has("ridmap") }) : bindOrMount(bound);
}

function mountNew(mount: SpecMount, target: string, options: MountOptions, label: string): { ops: Op[]; late: Op[] } {
  const { flags, propagation, special } = options;
  const data = labelled(mount.type, options.data, label).join(",");
  const source = mount.source || mount.type;
  const full = { ...options, type: mount.type, source, target, data, sourceIsHostPath: false };
  // Devices, links, copies and later mount points are made in these.
  const writableFirst = (flags & MS.RDONLY) !== 0n && (mount.type === "tmpfs" || target === "/dev");
  const first = writableFirst ? flags & ~MS.RDONLY : flags;
  const made = special.has("tmpcopyup")
    ? tmpfsCopy({ source, target, flags: first, propagation, data })
    : bindOrMount({ ...full, flags: first });
  const ops = mount.type === "mqueue" && label !== "" ? [made, fileLabel(target, label)] : [made];
  if (!writableFirst) return { ops, late: [] };
  const again = bindOrMount({ ...full, flags: flags | MS.REMOUNT | MS.BIND, propagation: 0n, data: "" });
  return { ops, late: [again] };
}

/** What has a meaning for some kinds of mounts only. */
function refuseMisplaced(mount: SpecMount, options: MountOptions, isBind: boolean, at: string): void {
  const { special } = options;
  if (special.has("loop")) throw new VigilError("unimplemented", `${at}.options: loop: not implemented`);
  if (special.has("tmpcopyup") && mount.type !== "tmpfs") refuse(`${at}.options`, "tmpcopyup is for a tmpfs");
  const mapped = mount.uidMappings.length + mount.gidMappings.length > 0;
  if (!isBind && (mapped || special.has("idmap") || special.has("ridmap"))) {
    throw new VigilError("unimplemented", `${at}: id-mapped mounts other than bind mounts are not implemented`);
  }
}

/** The kernel would say EINVAL, and not of what. */
function refuseUnmapped({ data }: MountOptions, linux: LinuxSpec, at: string): void {
  for (const option of data) {
    const [, kind, id] = /^([ug]id)=(\d+)$/.exec(option) ?? [];
    if (kind !== undefined && isMapped(linux, kind === "uid" ? "uidMappings" : "gidMappings", Number(id)) === false) {
      refuse(`${at}.options`, `${JSON.stringify(option)} is not mapped in the user namespace`);
    }
  }
}

function targetOf(destination: string, at: string, warn: (message: string) => void): string {
  if (destination === "") refuse(`${at}.destination`, "must not be empty");
  if (!destination.startsWith("/")) warn(`${at}.destination: ${JSON.stringify(destination)} is taken as absolute`);
  return normalize(`/${destination}`).replace(/(.)\/$/, "$1");
}

/** What lxcfs and the like put in the place of the kernel's files; the same ones that runc lets through. */
const emulated: ReadonlySet<string> = new Set([
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/meminfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/uptime",
  "/proc/loadavg",
  "/proc/slabinfo",
  "/proc/sys/kernel/ns_last_pid",
  "/proc/sys/crypto/fips_enabled",
]);
const PROC_SUPER_MAGIC = 0x9fa0;
/** PROC_ROOT_INO of the kernel: a directory below has another one. */
const procRootInode = 1;

const isProcRoot = (path: string): boolean =>
  isAbsolute(path) &&
  statSync(path, { throwIfNoEntry: false })?.ino === procRootInode &&
  statfsSync(path).type === PROC_SUPER_MAGIC;

/** A /proc that is none would take what is written there, labels and limits, and give what is read (CVE-2019-16884). */
function refuseFalseProc(mount: SpecMount, target: string, { flags }: MountOptions, isBind: boolean, at: string): void {
  if (target === "/proc") {
    // Refused for that.
    if (!isBind && mount.type === "") return;
    const remount = (flags & MS.REMOUNT) !== 0n;
    const real = remount || (isBind ? isProcRoot(mount.source) : mount.type === "proc");
    if (!real) refuse(`${at}.destination`, "/proc cannot be mounted because it is not of type proc");
  } else if (target.startsWith("/proc/") && !emulated.has(target)) {
    refuse(`${at}.destination`, `${JSON.stringify(target)} cannot be mounted because it is inside /proc`);
  }
}

export function planMounts(mounts: readonly SpecMount[], around: MountSurroundings): MountPlan {
  const { placement, linux, label, warn } = around;
  const ops: Op[] = [];
  const late: Op[] = [];
  let ownDev = false;
  mounts.forEach((mount, index) => {
    const at = `config.json: mounts[${index}]`;
    const options = parseMountOptions(mount.options);
    const { set, clear } = options.attributes;
    const target = targetOf(mount.destination, at, warn);
    const isBind = mount.type === "bind" || (options.flags & MS.BIND) !== 0n;
    refuseMisplaced(mount, options, isBind, at);
    refuseFalseProc(mount, target, options, isBind, at);
    if (isBind) {
      ops.push(bind(mount, target, options, at, around));
      ownDev ||= target === "/dev";
    } else if (mount.type === "") refuse(`${at}.type`, "must not be empty");
    else if (mount.type === "cgroup") ops.push(cgroups(target, options, placement));
    else {
      refuseUnmapped(options, linux, at);
      const fresh = mountNew(mount, target, options, label);
      ops.push(...fresh.ops);
      late.push(...fresh.late);
    }
    if (set !== 0n || clear !== 0n) ops.push(mountAttributes(target, set, clear));
  });
  return { ops, late, ownDev };
}
