import { closeSync, fstatSync, readSync } from "node:fs";
import { VigilError } from "../../base/errors.js";

/** One comparison of an argument: struct scmp_arg_cmp of seccomp.h. */
export interface SyscallCondition {
  readonly argument: number;
  /** enum scmp_compare */
  readonly comparison: number;
  readonly a: bigint;
  readonly b: bigint;
}

/** A filter being made. Failures are negative error numbers, as the library returns them. */
export interface SeccompBuilder {
  /** This machine's own, which every filter covers. */
  readonly native: number;
  /** The architecture's token, which for most is the kernel's AUDIT_ARCH number; undefined for a name that the library lacks. */
  addArchitecture(name: string): number | undefined;
  /** The number of a system call on this machine, negative for one it has not; undefined for a name that the library lacks. */
  resolve(syscall: string): number | undefined;
  /** The same on one of the filter's architectures. */
  resolveOn(architecture: number, syscall: string): number | undefined;
  addRule(action: number, syscall: number, conditions: readonly SyscallCondition[]): number;
  /** struct sock_filter array. */
  program(): Uint8Array;
  release(): void;
}

const unknownSyscall = -1; // __NR_SCMP_ERROR
const alreadyThere = -17; // -EEXIST
const closeOnExec = 1; // MFD_CLOEXEC
const conditionBytes = 24;

type Call = (...args: unknown[]) => unknown;

interface Library {
  readonly init: Call;
  readonly release: Call;
  readonly archAdd: Call;
  readonly archResolveName: Call;
  readonly archNative: Call;
  readonly syscallResolveName: Call;
  readonly syscallResolveNameArch: Call;
  readonly ruleAddArray: Call;
  readonly exportBpf: Call;
  readonly memfdCreate: Call;
}

let library: Promise<Library> | undefined;

// Loaded by the first container with a profile: koffi costs ten milliseconds, and many containers have none.
async function load(): Promise<Library> {
  try {
    const { default: koffi } = await import("koffi");
    const seccomp = koffi.load("libseccomp.so.2");
    const libc = koffi.load("libc.so.6");
    return {
      init: seccomp.func("void *seccomp_init(uint32_t)"),
      release: seccomp.func("void seccomp_release(void *)"),
      archAdd: seccomp.func("int seccomp_arch_add(void *, uint32_t)"),
      archResolveName: seccomp.func("uint32_t seccomp_arch_resolve_name(const char *)"),
      archNative: seccomp.func("uint32_t seccomp_arch_native()"),
      syscallResolveNameArch: seccomp.func("int seccomp_syscall_resolve_name_arch(uint32_t, const char *)"),
      syscallResolveName: seccomp.func("int seccomp_syscall_resolve_name(const char *)"),
      ruleAddArray: seccomp.func("int seccomp_rule_add_array(void *, uint32_t, int, unsigned int, const void *)"),
      exportBpf: seccomp.func("int seccomp_export_bpf(void *, int)"),
      memfdCreate: libc.func("int memfd_create(const char *, unsigned int)"),
    };
  } catch (cause) {
    library = undefined;
    throw new VigilError("failed_precondition", `linux.seccomp: libseccomp: ${VigilError.from(cause).message}`, {
      cause,
    });
  }
}

function encodeConditions(conditions: readonly SyscallCondition[]): Buffer {
  const encoded = Buffer.alloc(conditions.length * conditionBytes);
  conditions.forEach(({ argument, comparison, a, b }, index) => {
    const at = index * conditionBytes;
    encoded.writeUInt32LE(argument, at);
    encoded.writeUInt32LE(comparison, at + 4);
    encoded.writeBigUInt64LE(a, at + 8);
    encoded.writeBigUInt64LE(b, at + 16);
  });
  return encoded;
}

function exportProgram({ memfdCreate, exportBpf }: Library, filter: unknown): Uint8Array {
  const fd = memfdCreate("seccomp", closeOnExec) as number;
  if (fd < 0) throw new VigilError("resource_exhausted", "linux.seccomp: no memory file for the filter");
  try {
    const status = exportBpf(filter, fd) as number;
    if (status < 0) throw new VigilError("internal", `linux.seccomp: libseccomp cannot export the filter (${status})`);
    const program = Buffer.alloc(fstatSync(fd).size);
    readSync(fd, program, 0, program.length, 0);
    return program;
  } finally {
    closeSync(fd);
  }
}

export async function openSeccompBuilder(defaultAction: number): Promise<SeccompBuilder> {
  library ??= load();
  const calls = await library;
  const filter = calls.init(defaultAction);
  if (!filter) throw new VigilError("internal", "linux.seccomp: libseccomp refuses the default action");
  const known = (number: unknown): number | undefined => (number === unknownSyscall ? undefined : (number as number));
  return {
    native: calls.archNative() as number,
    addArchitecture(name) {
      const token = calls.archResolveName(name) as number;
      if (token === 0) return undefined;
      const status = calls.archAdd(filter, token) as number;
      return status === 0 || status === alreadyThere ? token : undefined;
    },
    resolve: (syscall) => known(calls.syscallResolveName(syscall)),
    resolveOn: (architecture, syscall) => known(calls.syscallResolveNameArch(architecture, syscall)),
    addRule: (action, syscall, conditions) =>
      calls.ruleAddArray(filter, action, syscall, conditions.length, encodeConditions(conditions)) as number,
    program: () => exportProgram(calls, filter),
    release: () => void calls.release(filter),
  };
}
