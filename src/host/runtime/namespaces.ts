import type { NamespaceType } from "../oci/spec.js";

/** clone(2) flags of the kinds of namespaces. */
export const namespaceFlags: Record<NamespaceType, bigint> = {
  time: 0x80n,
  mount: 0x20000n,
  cgroup: 0x2000000n,
  uts: 0x4000000n,
  ipc: 0x8000000n,
  user: 0x10000000n,
  pid: 0x20000000n,
  network: 0x40000000n,
};
