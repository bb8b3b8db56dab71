import { accessSync, constants } from "node:fs";
import { VigilError } from "../../base/errors.js";
import type { Caller } from "../caller.js";
import { type Op, userMap, userMapUnprivileged, userRoot } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { ProcessSpec } from "../oci/process.js";
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

function findProgram(name: string, why: string): string {
  for (const directory of (process.env.PATH ?? "").split(":")) {
    try {
      accessSync(`${directory}/${name}`, constants.X_OK);
      if (directory.startsWith("/")) return `${directory}/${name}`;
    } catch {
      // Not in this one.
    }
  }
  throw new VigilError("failed_precondition", `${why}: ${name} (Debian: package uidmap) is not in PATH`);
}

/** user_namespaces(7): somebody without privileges may map his own id; who is root of a user namespace, all that it has. */
const isOwnId = (mappings: readonly IdMapping[], own: number): boolean =>
  mappings.length === 1 && mappings[0]?.size === 1 && mappings[0].hostID === own;

function mapProgram(name: string, mappings: readonly IdMapping[], own: number, caller: Caller, at: string): string {
  if (caller.uid === 0 || isOwnId(mappings, own)) return "";
  return findProgram(name, `${at}: for more than the caller's own id`);
}

/** The first steps of a process in a user namespace of its own or of somebody else. */
export function planUserNamespace(linux: LinuxSpec, namespaces: NamespacePlan, caller: Caller): Op[] {
  if (!namespaces.has("user")) {
    for (const key of keys) {
      if (linux[key].length > 0) refuse(`config.json: linux.${key}`, "needs a user namespace in linux.namespaces");
    }
    if (caller.uid !== 0) refuse("config.json: linux.namespaces", "an unprivileged user needs a user namespace");
    return [];
  }
  // One that exists has its maps. containerd's CRI plugin repeats them for the containers of a pod.
  if (!namespaces.isNew("user")) return [userRoot()];
  const [uids = "", gids = ""] = keys.map((key) => text(linux[key], `config.json: linux.${key}`));
  if (caller.privileged) return [userMap(uids, gids)];
  const programs = [
    mapProgram("newuidmap", linux.uidMappings, caller.uid, caller, "config.json: linux.uidMappings"),
    mapProgram("newgidmap", linux.gidMappings, caller.gid, caller, "config.json: linux.gidMappings"),
  ] as const;
  return [userMapUnprivileged({ maps: [uids, gids], programs })];
}

/** Whether an id of the container is somebody on the host; undefined: any is, or nothing is known of the maps. */
export function isMapped(linux: LinuxSpec, key: (typeof keys)[number], id: number): boolean | undefined {
  const isNew = linux.namespaces.some(({ type, path }) => type === "user" && path === "");
  if (!isNew) return undefined;
  return linux[key].some(({ containerID, size }) => id >= containerID && id - containerID < size);
}

/** Refuses what the kernel would refuse with a bare EINVAL, and groups that it would not let be set at all. */
export function checkUser({ user }: ProcessSpec, linux: LinuxSpec, caller: Caller, at: string): void {
  const check = (key: (typeof keys)[number], id: number, name: string): void => {
    if (isMapped(linux, key, id) === false) refuse(`${at}.user.${name}`, `${id} is not mapped in the user namespace`);
  };
  check("uidMappings", user.uid, "uid");
  check("gidMappings", user.gid, "gid");
  user.additionalGids.forEach((gid, index) => {
    check("gidMappings", gid, `additionalGids[${index}]`);
    if (caller.uid !== 0 && isOwnId(linux.gidMappings, caller.gid)) {
      refuse(`${at}.user.additionalGids`, "an unprivileged user who maps his own group alone cannot set groups");
    }
  });
}
