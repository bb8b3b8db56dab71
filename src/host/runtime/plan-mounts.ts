import { basename, isAbsolute, join, normalize } from "node:path";
import { VigilError } from "../../base/errors.js";
import type { Placement } from "../cgroup/placement.js";
import { bindOrMount, cgroupMount, type Op } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { SpecMount } from "../oci/spec.js";
import { type MountOptions, MS, parseMountOptions } from "./mount-options.js";

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

function bind(mount: SpecMount, target: string, options: MountOptions, at: string, bundle: string): Op {
  if (mount.source === "") refuse(`${at}.source`, "must not be empty");
  if (options.data.length > 0) {
    refuse(`${at}.options`, `${JSON.stringify(options.data[0])} is not an option of a bind mount`);
  }
  return bindOrMount({
    type: "bind",
    source: isAbsolute(mount.source) ? mount.source : join(bundle, mount.source),
    target,
    flags: options.flags | MS.BIND,
    clear: options.clear,
    propagation: options.propagation,
    data: "",
    sourceIsHostPath: true,
  });
}

function targetOf(destination: string, at: string, warn: (message: string) => void): string {
  if (destination === "") refuse(`${at}.destination`, "must not be empty");
  if (!destination.startsWith("/")) warn(`${at}.destination: ${JSON.stringify(destination)} is taken as absolute`);
  return normalize(`/${destination}`).replace(/(.)\/$/, "$1");
}

export function planMounts(mounts: readonly SpecMount[], { bundle, placement, warn }: MountSurroundings): MountPlan {
  const ops: Op[] = [];
  const late: Op[] = [];
  let ownDev = false;
  mounts.forEach((mount, index) => {
    const at = `config.json: mounts[${index}]`;
    const options = parseMountOptions(mount.options);
    if (options.unimplemented.length > 0) {
      throw new VigilError("unimplemented", `${at}.options: ${options.unimplemented.join(", ")}: not implemented`);
    }
    if (mount.uidMappings || mount.gidMappings) {
      throw new VigilError("unimplemented", `${at}: id-mapped mounts are not implemented`);
    }
    const target = targetOf(mount.destination, at, warn);
    if (mount.type === "bind" || options.flags & MS.BIND) {
      ops.push(bind(mount, target, options, at, bundle));
      ownDev ||= target === "/dev";
      return;
    }
    if (mount.type === "") refuse(`${at}.type`, "must not be empty");
    if (mount.type === "cgroup") {
      ops.push(cgroups(target, options, placement));
      return;
    }
    const data = options.data.join(",");
    const full = { ...options, type: mount.type, source: mount.source || mount.type, target, data };
    // Devices, links and later mount points are made in these.
    const writableFirst = (options.flags & MS.RDONLY) !== 0n && (mount.type === "tmpfs" || target === "/dev");
    ops.push(
      bindOrMount({ ...full, flags: writableFirst ? full.flags & ~MS.RDONLY : full.flags, sourceIsHostPath: false }),
    );
    if (writableFirst) {
      const flags = full.flags | MS.REMOUNT | MS.BIND;
      late.push(bindOrMount({ ...full, flags, propagation: 0n, data: "", sourceIsHostPath: false }));
    }
  });
  return { ops, late, ownDev };
}
