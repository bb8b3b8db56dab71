import { readKernelFile } from "./cgroup/files.js";

/** Who makes containers, as far as the kernel makes a difference. */
export interface Caller {
  readonly uid: number;
  readonly gid: number;
  /** Root of the machine. Root of another user namespace is not. */
  readonly privileged: boolean;
}

// The map of the first user namespace, user_namespaces(7).
const wholeMap = /^\s*0\s+0\s+4294967295\s*$/;

export function detectCaller(read: (path: string) => string | undefined = readKernelFile): Caller {
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  // Without the file the kernel has no user namespaces.
  return { uid, gid, privileged: uid === 0 && wholeMap.test(read("/proc/self/uid_map") ?? "0 0 4294967295") };
}
