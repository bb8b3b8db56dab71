import { VigilError } from "../../base/errors.js";
import type { RuntimeOptions } from "../../task/ports.js";
import type { Spec } from "../oci/spec.js";

function unimplemented(what: string): never {
  throw new VigilError("unimplemented", `${what}: not implemented`);
}

/** What the native runtime does not do is refused by name, never left out in silence. */
export function refuseUnsupported(spec: Spec): void {
  const { linux } = spec;
  for (const key of ["intelRdt", "netDevices"] as const) {
    if (linux[key]) unimplemented(`config.json: linux.${key}`);
  }
}

export function refuseUnsupportedOptions(options: RuntimeOptions): void {
  if (options.systemdCgroup) unimplemented("options.systemd_cgroup: the systemd cgroup driver");
}
