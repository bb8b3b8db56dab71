import packageJson from "../../package.json" with { type: "json" };
import { capabilityNames } from "../host/runtime/capabilities.js";
import { mountOptionNames } from "../host/runtime/mount-options.js";

/** The features document of the specification (features.md, features-linux.md): what this runtime does, on any host. */
export function features(): object {
  return {
    ociVersionMin: "1.0.0",
    ociVersionMax: "1.2.0",
    mountOptions: mountOptionNames(),
    linux: {
      namespaces: ["cgroup", "ipc", "mount", "network", "pid", "uts"],
      capabilities: capabilityNames,
      cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: false },
      seccomp: { enabled: true },
      apparmor: { enabled: false },
      selinux: { enabled: false },
    },
    annotations: { "io.vigil.version": packageJson.version },
  };
}
