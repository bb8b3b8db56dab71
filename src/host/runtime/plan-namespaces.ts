import { statSync } from "node:fs";
import type { Birth } from "../core/birth.js";
import { refuse } from "../oci/check.js";
import type { LinuxSpec, NamespaceType } from "../oci/spec.js";
import { namespaceFlags } from "./namespaces.js";

export interface NamespacePlan {
  /**
   * Made by clone3. Not among them, as the child makes them later: the cgroup namespace, whose root is where its maker is, and the
   * time namespace, whose offsets are set while it is empty.
   */
  readonly cloneFlags: bigint;
  readonly joins: Birth["joins"];
  /** Every kind that the container has of its own or shares with somebody by path: what an exec enters. */
  readonly all: bigint;
  isNew(type: NamespaceType): boolean;
  /** The path of one that is joined. */
  pathOf(type: NamespaceType): string | undefined;
  has(type: NamespaceType): boolean;
}

const path = "config.json: linux.namespaces";

/**
 * One that is joined becomes the container's: its mounts are made in there and its root is exchanged, for everybody in it, as with
 * runc.
 */
function isOwnMounts(joined: string): boolean {
  const one = statSync(joined, { throwIfNoEntry: false });
  const own = statSync("/proc/self/ns/mnt");
  return one?.ino === own.ino && one.dev === own.dev;
}

export function planNamespaces(namespaces: LinuxSpec["namespaces"]): NamespacePlan {
  const byType = new Map<NamespaceType, string>();
  namespaces.forEach((namespace, index) => {
    const at = `${path}[${index}]`;
    if (byType.has(namespace.type)) refuse(`${at}.type`, `${namespace.type} is given twice`);
    if (namespace.path !== "" && !namespace.path.startsWith("/")) {
      refuse(`${at}.path`, `${JSON.stringify(namespace.path)} is not an absolute path`);
    }
    if (namespace.type === "mount" && namespace.path !== "" && isOwnMounts(namespace.path)) {
      refuse(`${at}.path`, `${namespace.path} is the host's mount namespace, whose root would be exchanged`);
    }
    byType.set(namespace.type, namespace.path);
  });
  // mount(2): not by the root of a user namespace which is not the mount namespace's own.
  if (byType.has("user") && !byType.has("mount")) refuse(path, "a user namespace needs a mount namespace");
  let cloneFlags = 0n;
  let all = 0n;
  const joins: { flag: bigint; path: string }[] = [];
  for (const [type, joined] of byType) {
    const flag = namespaceFlags[type];
    all |= flag;
    if (joined !== "") joins.push({ flag, path: joined });
    else if (type !== "cgroup" && type !== "time") cloneFlags |= flag;
  }
  return {
    cloneFlags,
    joins,
    all,
    isNew: (type) => byType.get(type) === "",
    pathOf: (type) => byType.get(type) || undefined,
    has: (type) => byType.has(type),
  };
}
