import { VigilError } from "../../base/errors.js";
import type { Birth } from "../core/birth.js";
import { refuse } from "../oci/check.js";
import type { LinuxSpec, NamespaceType } from "../oci/spec.js";
import { namespaceFlags } from "./namespaces.js";

export interface NamespacePlan {
  /** Made by clone3. The cgroup namespace is not among them: its root is where its maker is, so the child makes it later. */
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

export function planNamespaces(namespaces: LinuxSpec["namespaces"]): NamespacePlan {
  const byType = new Map<NamespaceType, string>();
  namespaces.forEach((namespace, index) => {
    const at = `${path}[${index}]`;
    if (byType.has(namespace.type)) refuse(`${at}.type`, `${namespace.type} is given twice`);
    if (namespace.type === "time") {
      throw new VigilError("unimplemented", `${at}: ${namespace.type} namespaces are not implemented`);
    }
    if (namespace.path !== "" && !namespace.path.startsWith("/")) {
      refuse(`${at}.path`, `${JSON.stringify(namespace.path)} is not an absolute path`);
    }
    // Preparing a root file system in somebody else's mount namespace would change it for everybody there.
    if (namespace.type === "mount" && namespace.path !== "") {
      throw new VigilError("unimplemented", `${at}.path: joining a mount namespace is not implemented`);
    }
    byType.set(namespace.type, namespace.path);
  });
  if (!byType.has("mount")) {
    throw new VigilError("unimplemented", `${path}: a container without a mount namespace is not implemented`);
  }
  let cloneFlags = 0n;
  let all = 0n;
  const joins: { flag: bigint; path: string }[] = [];
  for (const [type, joined] of byType) {
    const flag = namespaceFlags[type];
    all |= flag;
    if (joined !== "") joins.push({ flag, path: joined });
    else if (type !== "cgroup") cloneFlags |= flag;
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
