import { existsSync } from "node:fs";
import { VigilError } from "../../base/errors.js";
import type { RuntimeOptions } from "../../task/ports.js";
import type { ProcessSpec } from "../oci/process.js";
import type { Spec } from "../oci/spec.js";

function unimplemented(what: string): never {
  throw new VigilError("unimplemented", `${what}: not implemented`);
}

/** Security labels: an error on a host without the module, as they would protect nothing. */
export function refuseLabels(process: ProcessSpec, path: string): void {
  if (process.apparmorProfile !== "") {
    if (existsSync("/sys/kernel/security/apparmor")) unimplemented(`${path}.apparmorProfile`);
    throw new VigilError(
      "failed_precondition",
      `${path}.apparmorProfile: apparmor: config provided but apparmor not supported`,
    );
  }
  if (process.selinuxLabel !== "") {
    if (existsSync("/sys/fs/selinux")) unimplemented(`${path}.selinuxLabel`);
    throw new VigilError(
      "failed_precondition",
      `${path}.selinuxLabel: selinux label is specified in config, but selinux is disabled or not supported`,
    );
  }
}

/** What the native runtime does not do is refused by name, never left out in silence. */
export function refuseUnsupportedProcess(process: ProcessSpec, path: string): void {
  refuseLabels(process, path);
}

export function refuseUnsupported(spec: Spec): void {
  const { linux } = spec;
  for (const key of ["intelRdt", "netDevices"] as const) {
    if (linux[key]) unimplemented(`config.json: linux.${key}`);
  }
  if (linux.mountLabel !== "") {
    if (existsSync("/sys/fs/selinux")) unimplemented("config.json: linux.mountLabel");
    throw new VigilError("failed_precondition", "config.json: linux.mountLabel: selinux is disabled or not supported");
  }
  refuseUnsupportedProcess(spec.process, "config.json: process");
}

export function refuseUnsupportedOptions(options: RuntimeOptions): void {
  if (options.systemdCgroup) unimplemented("options.systemd_cgroup: the systemd cgroup driver");
  if (options.binaryName !== "") unimplemented("options.binary_name: another OCI runtime");
}
