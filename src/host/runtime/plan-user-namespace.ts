import { type Op, userMap, userRoot } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { IdMapping, LinuxSpec } from "../oci/spec.js";
import { idMapText } from "./id-maps.js";
import type { NamespacePlan } from "./plan-namespaces.js";

const keys = ["uidMappings", "gidMappings"] as const;

function text(mappings: readonly IdMapping[], at: string): string {
  if (mappings.length === 0) refuse(at, "a new user namespace cannot be without");
  const written = idMapText(mappings, at);
  // What is mounted and made belongs to the container's root.
  if (!mappings.some(({ containerID }) => containerID === 0)) refuse(at, "do not map id 0 of the container");
  return written;
}

/** The first steps of a process in a user namespace of its own or of somebody else. */
export function planUserNamespace(linux: LinuxSpec, namespaces: NamespacePlan): Op[] {
  if (!namespaces.has("user")) {
    for (const key of keys) {
      if (linux[key].length > 0) refuse(`config.json: linux.${key}`, "needs a user namespace in linux.namespaces");
    }
    return [];
  }
  // One that exists has its maps. containerd's CRI plugin repeats them for the containers of a pod.
  if (!namespaces.isNew("user")) return [userRoot()];
  const [uids, gids] = keys.map((key) => text(linux[key], `config.json: linux.${key}`));
  return [userMap(uids ?? "", gids ?? "")];
}
