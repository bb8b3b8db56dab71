import { type Op, rlimit } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { ProcessSpec } from "../oci/process.js";

/** include/uapi/asm-generic/resource.h; x86 and arm64 use it unchanged. */
const resources: ReadonlyMap<string, number> = new Map([
  ["RLIMIT_CPU", 0],
  ["RLIMIT_FSIZE", 1],
  ["RLIMIT_DATA", 2],
  ["RLIMIT_STACK", 3],
  ["RLIMIT_CORE", 4],
  ["RLIMIT_RSS", 5],
  ["RLIMIT_NPROC", 6],
  ["RLIMIT_NOFILE", 7],
  ["RLIMIT_MEMLOCK", 8],
  ["RLIMIT_AS", 9],
  ["RLIMIT_LOCKS", 10],
  ["RLIMIT_SIGPENDING", 11],
  ["RLIMIT_MSGQUEUE", 12],
  ["RLIMIT_NICE", 13],
  ["RLIMIT_RTPRIO", 14],
  ["RLIMIT_RTTIME", 15],
]);

export function planRlimits(limits: ProcessSpec["rlimits"], path: string): Op[] {
  const seen = new Set<string>();
  return limits.map(({ type, soft, hard }, index) => {
    const at = `${path}.rlimits[${index}]`;
    const resource = resources.get(type) ?? refuse(`${at}.type`, `no resource limit is called ${JSON.stringify(type)}`);
    if (seen.has(type)) refuse(`${at}.type`, `${type} is given twice`);
    seen.add(type);
    if (soft > hard) refuse(`${at}.soft`, `${soft} is above the hard limit ${hard}`);
    return rlimit(resource, soft, hard);
  });
}
