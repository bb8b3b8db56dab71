import {
  absolutePath,
  type Check,
  flag,
  integer,
  list,
  maybe,
  object,
  otherwise,
  present,
  refuse,
  text,
  uint32,
  uint64,
} from "./check.js";

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
  scheduler: present,
  ioPriority: present,
  execCPUAffinity: present,
});

export type ProcessSpec = ReturnType<typeof checkProcess>;
