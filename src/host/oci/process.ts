import {
  absolutePath,
  type Check,
  flag,
  integer,
  list,
  maybe,
  object,
  otherwise,
  refuse,
  text,
  uint32,
  uint64,
} from "./check.js";

const int32 = integer(-(2 ** 31), 2 ** 31 - 1);
const maximumTerminalSide = 65_535;

const argv: Check<readonly string[]> = (value, path) => {
  const args = list(text)(value, path);
  return args.length > 0 ? args : refuse(path, "must not be empty");
};

const assignment: Check<string> = (value, path) => {
  const entry = text(value, path);
  return entry.indexOf("=") > 0 ? entry : refuse(path, `${JSON.stringify(entry)} is not of the form NAME=VALUE`);
};

const capabilityNames = otherwise(list(text), []);

/** `process` of the OCI runtime specification (config.md), also what an exec is described by. */
export const checkProcess = object({
  terminal: otherwise(flag, false),
  consoleSize: maybe(object({ height: integer(0, maximumTerminalSide), width: integer(0, maximumTerminalSide) })),
  user: otherwise(
    object({
      uid: otherwise(uint32, 0),
      gid: otherwise(uint32, 0),
      umask: maybe(uint32),
      additionalGids: otherwise(list(uint32), []),
    }),
    { uid: 0, gid: 0, umask: undefined, additionalGids: [] },
  ),
  args: argv,
  env: otherwise(list(assignment), []),
  cwd: absolutePath,
  capabilities: maybe(
    object({
      bounding: capabilityNames,
      effective: capabilityNames,
      inheritable: capabilityNames,
      permitted: capabilityNames,
      ambient: capabilityNames,
    }),
  ),
  rlimits: otherwise(list(object({ type: text, soft: uint64, hard: uint64 })), []),
  noNewPrivileges: otherwise(flag, false),
  oomScoreAdj: maybe(integer(-1000, 1000)),
  apparmorProfile: otherwise(text, ""),
  selinuxLabel: otherwise(text, ""),
  scheduler: maybe(
    object({
      policy: text,
      nice: otherwise(int32, 0),
      priority: otherwise(integer(0, 99), 0),
      flags: otherwise(list(text), []),
      runtime: otherwise(uint64, 0n),
      deadline: otherwise(uint64, 0n),
      period: otherwise(uint64, 0n),
    }),
  ),
  ioPriority: maybe(object({ class: text, priority: integer(0, 7) })),
  execCPUAffinity: maybe(object({ initial: otherwise(text, ""), final: otherwise(text, "") })),
});

export type ProcessSpec = ReturnType<typeof checkProcess>;
