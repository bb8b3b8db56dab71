import type { CapabilitySets } from "../core/ops.js";
import type { ProcessSpec } from "../oci/process.js";

/** include/uapi/linux/capability.h, in the order of their numbers. */
export const capabilityNames = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

const numbers: ReadonlyMap<string, number> = new Map(capabilityNames.map((name, number) => [name, number]));

const setNames = ["bounding", "effective", "inheritable", "permitted", "ambient"] as const;

export interface CapabilityPlan {
  readonly sets: CapabilitySets;
  /** What this kernel, or this list, does not know, or cannot be had: left out, as the specification wants, with a warning. */
  readonly ignored: readonly string[];
}

/** @param last the kernel's highest capability number (/proc/sys/kernel/cap_last_cap) */
export function planCapabilities(spec: ProcessSpec["capabilities"], last: number): CapabilityPlan {
  const ignored = new Set<string>();
  const setOf = (wanted: readonly string[]): bigint => {
    let set = 0n;
    for (const name of wanted) {
      const number = numbers.get(name);
      if (number === undefined || number > last) ignored.add(name);
      else set |= 1n << BigInt(number);
    }
    return set;
  };
  const [bounding, effective, inheritable, permitted, ambient] = setNames.map((name) => setOf(spec?.[name] ?? [])) as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  // capabilities(7): no capability can be ambient that is not both permitted and inheritable. Left out as with runc, whose own
  // `spec` has long asked for such.
  const possible = ambient & permitted & inheritable;
  for (const name of spec?.ambient ?? []) {
    const number = numbers.get(name);
    if (number !== undefined && ((ambient & ~possible) >> BigInt(number)) & 1n) ignored.add(`${name} (ambient)`);
  }
  return { sets: { bounding, effective, inheritable, permitted, ambient: possible }, ignored: [...ignored] };
}
