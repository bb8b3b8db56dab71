import { statSync } from "node:fs";
import { type Op, sysctl } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { LinuxSpec } from "../oci/spec.js";
import type { NamespacePlan } from "./plan-namespaces.js";

/** namespaces(7), ipc_namespaces(7): what an IPC namespace has of its own besides fs/mqueue. */
const ipcSysctls: ReadonlySet<string> = new Set([
  "kernel/msgmax",
  "kernel/msgmnb",
  "kernel/msgmni",
  "kernel/sem",
  "kernel/shmall",
  "kernel/shmmax",
  "kernel/shmmni",
  "kernel/shm_rmid_forced",
]);

// The first separator tells which of the two it is; the other one is then part of a name ("net/ipv4/conf/eth0.1/forwarding"),
// sysctl.d(5).
function pathOf(key: string, at: string): string {
  const dotted = /[./]/.exec(key)?.[0] === ".";
  const path = dotted ? key.replace(/[./]/g, (separator) => (separator === "." ? "/" : ".")) : key;
  if (path.split("/").some((name) => name === "" || name === "." || name === "..")) {
    refuse(at, "is not the name of a setting");
  }
  return path;
}

function isHostNetwork(namespaces: NamespacePlan): boolean {
  if (!namespaces.has("network")) return true;
  const path = namespaces.pathOf("network");
  if (path === undefined) return false;
  const joined = statSync(path, { throwIfNoEntry: false });
  const own = statSync("/proc/self/ns/net");
  return joined?.ino === own.ino && joined.dev === own.dev;
}

/** A setting that the kernel does not keep per namespace would change the host: refused as runc refuses it. */
export function planSysctls(sysctls: LinuxSpec["sysctl"], namespaces: NamespacePlan): Op[] {
  return [...sysctls].map(([key, value]) => {
    const at = `config.json: linux.sysctl[${JSON.stringify(key)}]`;
    const forbid = (why: string): never => refuse(at, why);
    const path = pathOf(key, at);
    if (ipcSysctls.has(path) || path.startsWith("fs/mqueue/")) {
      if (!namespaces.has("ipc")) forbid("is not allowed in the host's IPC namespace");
    } else if (path.startsWith("net/")) {
      if (isHostNetwork(namespaces)) forbid("is not allowed in the host's network namespace");
    } else if (path === "kernel/hostname") {
      forbid("conflicts with hostname");
    } else if (path !== "kernel/domainname" || !namespaces.has("uts")) {
      forbid("is not in a namespace of its own");
    }
    return sysctl(key, value);
  });
}
