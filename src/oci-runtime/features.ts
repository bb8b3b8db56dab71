import packageJson from "../../package.json" with { type: "json" };
import { hookNames } from "../host/oci/hooks.js";
import { capabilityNames } from "../host/runtime/capabilities.js";
import { mountOptionNames } from "../host/runtime/mount-options.js";
import { namespaceFlags } from "../host/runtime/namespaces.js";
import { seccompNames } from "../host/runtime/seccomp.js";

/**
 * The features document of the specification (features.md, features-linux.md): what this runtime does, on any host. The build
 * keeps a copy beside the programs, which `containerd-shim-vigil-v1 -info` hands to containerd.
 */
export function features(): object {
  const { actions, operators, archs, flags } = seccompNames;
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: "1.2.0",
    hooks: hookNames,
    mountOptions: mountOptionNames(),
    linux: {
      namespaces: Object.keys(namespaceFlags).sort(),
      capabilities: capabilityNames,
      cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: false },
      seccomp: { enabled: true, actions, operators, archs, knownFlags: flags, supportedFlags: flags },
      apparmor: { enabled: true },
      selinux: { enabled: true },
      intelRdt: { enabled: false },
      mountExtensions: { idmap: { enabled: true } },
    },
    annotations: { "io.vigil.version": packageJson.version },
  };
}
