import {
  type Check,
  flag,
  int64,
  integer,
  list,
  map,
  maybe,
  object,
  oneOf,
  otherwise,
  present,
  refuse,
  text,
  uint32,
  uint64,
} from "./check.js";
import { checkHooks } from "./hooks.js";
import { checkProcess } from "./process.js";
import { checkResources } from "./resources.js";

export const namespaceTypes = ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"] as const;

export const checkSeccomp = object({
  defaultAction: text,
  defaultErrnoRet: maybe(uint32),
  architectures: otherwise(list(text), []),
  flags: maybe(list(text)),
  listenerPath: otherwise(text, ""),
  listenerMetadata: otherwise(text, ""),
  syscalls: otherwise(
    list(
      object({
        names: list(text),
        action: text,
        errnoRet: maybe(uint32),
        args: otherwise(list(object({ index: uint32, value: uint64, valueTwo: otherwise(uint64, 0n), op: text })), []),
      }),
    ),
    [],
  ),
});

const idMappings = otherwise(list(object({ containerID: uint32, hostID: uint32, size: uint32 })), []);

export const checkMount = object({
  destination: text,
  type: otherwise(text, ""),
  source: otherwise(text, ""),
  options: otherwise(list(text), []),
  uidMappings: idMappings,
  gidMappings: idMappings,
});

const linux = object({
  uidMappings: idMappings,
  gidMappings: idMappings,
  timeOffsets: otherwise(
    map(object({ secs: otherwise(int64, 0n), nanosecs: otherwise(integer(0, 999_999_999), 0) })),
    new Map(),
  ),
  sysctl: otherwise(map(text), new Map()),
  resources: maybe(checkResources),
  cgroupsPath: otherwise(text, ""),
  namespaces: otherwise(list(object({ type: oneOf(namespaceTypes), path: otherwise(text, "") })), []),
  devices: otherwise(
    list(
      object({
        path: text,
        type: oneOf(["c", "u", "b", "p"]),
        major: otherwise(int64, 0n),
        minor: otherwise(int64, 0n),
        fileMode: maybe(uint32),
        uid: otherwise(uint32, 0),
        gid: otherwise(uint32, 0),
      }),
    ),
    [],
  ),
  netDevices: present,
  seccomp: maybe(checkSeccomp),
  rootfsPropagation: otherwise(text, ""),
  maskedPaths: otherwise(list(text), []),
  readonlyPaths: otherwise(list(text), []),
  mountLabel: otherwise(text, ""),
  intelRdt: present,
  memoryPolicy: maybe(object({ mode: text, nodes: otherwise(text, ""), flags: otherwise(list(text), []) })),
  personality: maybe(object({ domain: text, flags: otherwise(list(text), []) })),
});

/** Semantic Versioning 2.0.0; a version of another major number is another format (config.md, "Specification version"). */
const version = /^(\d+)\.\d+\.\d+(-[\w.-]+)?(\+[\w.-]+)?$/;

const ociVersion: Check<string> = (value, path) => {
  const given = text(value, path);
  const major = version.exec(given)?.[1];
  if (major === undefined) refuse(path, `${JSON.stringify(given)} is not a semantic version`);
  return major === "1" ? given : refuse(path, `${given}: only versions 1.x of the specification are known`);
};

/** config.json of a bundle: what vigil reads of the OCI runtime specification (config.md, config-linux.md). */
export const checkSpec = object({
  ociVersion,
  process: checkProcess,
  root: object({ path: text, readonly: otherwise(flag, false) }),
  hostname: otherwise(text, ""),
  domainname: otherwise(text, ""),
  mounts: otherwise(list(checkMount), []),
  hooks: maybe(checkHooks),
  annotations: otherwise(map(otherwise(text, "")), new Map()),
  linux,
});

export type Spec = ReturnType<typeof checkSpec>;
export type LinuxSpec = Spec["linux"];
export type IdMapping = ReturnType<typeof idMappings>[number];
export type SpecMount = Spec["mounts"][number];
export type SeccompSpec = ReturnType<typeof checkSeccomp>;
export type NamespaceType = (typeof namespaceTypes)[number];
