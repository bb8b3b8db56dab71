import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { VigilError } from "../../base/errors.js";
import { type Op, processLabel } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { ProcessSpec } from "../oci/process.js";

/** Which security modules with labels this host has in use. */
export interface SecurityModules {
  readonly apparmor: boolean;
  readonly selinux: boolean;
}

/** @param sys where sysfs is */
export function detectSecurityModules(sys = "/sys"): SecurityModules {
  const switchFile = join(sys, "module/apparmor/parameters/enabled");
  return {
    apparmor:
      existsSync(join(sys, "kernel/security/apparmor")) &&
      existsSync(switchFile) &&
      readFileSync(switchFile, "utf8").startsWith("Y"),
    // The directory is there whenever the kernel was built with it, the file when it is in use.
    selinux: existsSync(join(sys, "fs/selinux/enforce")),
  };
}

const missing = (what: string): never => {
  throw new VigilError("failed_precondition", what);
};

export interface ProcessLabels {
  /** Before the session keyring is made, and after it. */
  readonly beforeKeyring: readonly Op[];
  readonly afterKeyring: readonly Op[];
}

/** Labels that would protect nothing, as their module is not there, are an error, with runc's words. */
export function planProcessLabels(
  { apparmorProfile, selinuxLabel }: Pick<ProcessSpec, "apparmorProfile" | "selinuxLabel">,
  modules: SecurityModules,
  path: string,
): ProcessLabels {
  const exec: Op[] = [];
  if (apparmorProfile !== "") {
    if (!modules.apparmor) missing(`${path}.apparmorProfile: apparmor: config provided but apparmor not supported`);
    exec.push(processLabel("apparmor/exec", "exec", `exec ${apparmorProfile}`));
  }
  if (selinuxLabel === "") return { beforeKeyring: [], afterKeyring: exec };
  if (!modules.selinux) {
    missing(`${path}.selinuxLabel: selinux label is specified in config, but selinux is disabled or not supported`);
  }
  return {
    beforeKeyring: [processLabel("keycreate", "", selinuxLabel)],
    // Keys that the container makes have the label of its policy again.
    afterKeyring: [processLabel("keycreate", "", ""), ...exec, processLabel("exec", "", selinuxLabel)],
  };
}

export function checkMountLabel(label: string, modules: SecurityModules): void {
  const path = "config.json: linux.mountLabel";
  if (label === "") return;
  if (!modules.selinux) missing(`${path}: selinux is disabled or not supported`);
  if (label.includes('"')) refuse(path, "a label with a quotation mark in it");
}

// What these show the kernel labels by itself; a message queue file system takes no option for it on older kernels.
const withoutContext: ReadonlySet<string> = new Set(["proc", "sysfs", "mqueue"]);

/** The options of a new file system of that type, with the label of all that is in it. */
export function labelled(type: string, data: readonly string[], label: string): readonly string[] {
  return label === "" || withoutContext.has(type) ? data : [...data, `context="${label}"`];
}
