import { basename, isAbsolute, join, normalize } from "node:path";
import { VigilError } from "../../base/errors.js";
import type { Bundle } from "../bundle.js";
import type { Placement } from "../cgroup/placement.js";
import { MS, parseMountOptions } from "./mount-options.js";

/** A mount of the container's whose content is the host's: CRIU is told its name at the dump, and what it is at the restore. */
export interface ExternalMount {
  readonly target: string;
  readonly source: string;
}

const isBind = (mount: Bundle["spec"]["mounts"][number]): boolean =>
  mount.type === "bind" || (parseMountOptions(mount.options).flags & MS.BIND) !== 0n;

const targetOf = (destination: string): string => normalize(`/${destination}`).replace(/(.)\/$/, "$1");

export function externalMounts({ spec, path }: Bundle, { mode, places }: Placement): ExternalMount[] {
  // In a cgroup namespace, and on v2, they are mounts of the container's own.
  const ownCgroups = mode === "v2" || spec.linux.namespaces.some(({ type }) => type === "cgroup");
  return spec.mounts.flatMap((mount, index) => {
    const target = targetOf(mount.destination);
    if (mount.type === "cgroup" && !ownCgroups) {
      return places.map(({ mountPoint, directory }) => ({
        target: join(target, basename(mountPoint)),
        source: directory,
      }));
    }
    if (!isBind(mount)) return [];
    if (mount.uidMappings.length > 0) {
      throw new VigilError("unimplemented", `config.json: mounts[${index}]: a checkpoint with id-mapped mounts`);
    }
    return [{ target, source: isAbsolute(mount.source) ? mount.source : join(path, mount.source) }];
  });
}

export interface MountPoints {
  readonly directories: readonly string[];
  readonly files: readonly string[];
}

/** Where CRIU will mount. What is inside of a tmpfs comes with that one's content. */
export function mountPoints({ spec }: Bundle, isFile: (source: string) => boolean, external: readonly ExternalMount[]) {
  const tmpfs = spec.mounts.filter(({ type }) => type === "tmpfs").map(({ destination }) => targetOf(destination));
  const sources = new Map(external.map(({ target, source }) => [target, source]));
  const targets = spec.mounts
    .map(({ destination }) => targetOf(destination))
    .filter((target) => !tmpfs.some((above) => target.startsWith(`${above}/`)));
  const files = targets.filter((target) => isFile(sources.get(target) ?? ""));
  return { directories: targets.filter((target) => !files.includes(target)), files } satisfies MountPoints;
}
