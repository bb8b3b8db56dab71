import { existsSync } from "node:fs";
import { type DeviceNode, device, type Op, optional, symlink } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { LinuxSpec } from "../oci/spec.js";

const everybody = 0o666;
const permissionBits = 0o7777;
const maximumNumber = 2n ** 32n - 1n;

/** OCI config-linux.md, "Default Devices"; /dev/console and /dev/ptmx are made otherwise. */
const defaults: readonly (readonly [path: string, major: number, minor: number])[] = [
  ["/dev/null", 1, 3],
  ["/dev/random", 1, 8],
  ["/dev/full", 1, 7],
  ["/dev/tty", 5, 0],
  ["/dev/zero", 1, 5],
  ["/dev/urandom", 1, 9],
];

/** OCI runtime-linux.md, "Dev symbolic links". */
const links: readonly (readonly [target: string, path: string])[] = [
  ["/proc/self/fd", "/dev/fd"],
  ["/proc/self/fd/0", "/dev/stdin"],
  ["/proc/self/fd/1", "/dev/stdout"],
  ["/proc/self/fd/2", "/dev/stderr"],
];

function node(spec: LinuxSpec["devices"][number], at: string): DeviceNode {
  const { path, type } = spec;
  if (!path.startsWith("/")) refuse(`${at}.path`, `${JSON.stringify(path)} is not an absolute path`);
  const number = (key: "major" | "minor"): number => {
    if (type === "p") return 0;
    const value = spec[key];
    return value >= 0n && value <= maximumNumber
      ? Number(value)
      : refuse(`${at}.${key}`, `${value} is not a number of a device`);
  };
  return {
    path,
    type: type === "u" ? "c" : type,
    major: number("major"),
    minor: number("minor"),
    mode: (spec.fileMode ?? everybody) & permissionBits,
    uid: spec.uid,
    gid: spec.gid,
  };
}

/** The nodes and links of /dev, for a container that has not brought a /dev of its own. */
export function planDevices(devices: LinuxSpec["devices"]): Op[] {
  const nodes = new Map<string, DeviceNode>();
  for (const [path, major, minor] of defaults) {
    nodes.set(path, { path, type: "c", major, minor, mode: everybody, uid: 0, gid: 0 });
  }
  devices.forEach((spec, index) => {
    const made = node(spec, `config.json: linux.devices[${index}]`);
    nodes.set(made.path, made);
  });
  // Always the container's own devpts instance, whatever the list says.
  nodes.delete("/dev/ptmx");
  // The kernel may have been built without it.
  const kcore = existsSync("/proc/kcore") ? [["/proc/kcore", "/dev/core"] as const] : [];
  return [
    ...[...nodes.values()].map(device),
    symlink("pts/ptmx", "/dev/ptmx"),
    // An image whose /dev is no mount keeps what it has there.
    ...[...links, ...kcore].map(([target, path]) => optional(symlink(target, path))),
  ];
}
