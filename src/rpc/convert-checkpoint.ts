import { isAbsolute } from "node:path";
import { VigilError } from "../base/errors.js";
import { CheckpointOptions as LinuxCheckpointOptions } from "../gen/containerd/linux/runc/runc.js";
import { CheckpointOptions } from "../gen/containerd/runc/v1/oci.js";
import type { CheckpointTaskRequest } from "../gen/containerd/task/v3/shim.js";
import type { CheckpointSpec } from "../task/ports.js";
import { typeName } from "./convert.js";

/** Clients of containerd 1.7 send the second to runtimes whose name is not runc's. Their numbers differ, their words do not. */
const codecs: Readonly<Record<string, { decode(value: Uint8Array): Omit<CheckpointOptions, "$type"> }>> = {
  [CheckpointOptions.$type]: CheckpointOptions,
  [LinuxCheckpointOptions.$type]: LinuxCheckpointOptions,
};

function optionsOf({ options }: CheckpointTaskRequest): Omit<CheckpointOptions, "$type"> {
  if (!options || options.typeUrl === "") return CheckpointOptions.fromPartial({});
  const name = typeName(options.typeUrl);
  const codec = codecs[name];
  if (!codec)
    throw new VigilError("invalid_argument", `checkpoint options of unknown type ${JSON.stringify(options.typeUrl)}`);
  try {
    return codec.decode(options.value);
  } catch (cause) {
    throw new VigilError("invalid_argument", `malformed checkpoint options of type ${name}`, { cause });
  }
}

function absolute(what: string, path: string): string {
  if (!isAbsolute(path)) throw new VigilError("invalid_argument", `${what} ${JSON.stringify(path)} is not absolute`);
  return path;
}

export function toCheckpointSpec(request: CheckpointTaskRequest): CheckpointSpec {
  const { imagePath, workPath, ...options } = optionsOf(request);
  const { exit, openTcp, externalUnixSockets, terminal, fileLocks, emptyNamespaces, cgroupsMode } = options;
  return {
    // containerd makes the one of the other.
    imageDirectory: absolute("path", request.path || imagePath),
    workDirectory: workPath === "" ? "" : absolute("work_path", workPath),
    ...{ exit, openTcp, externalUnixSockets, terminal, fileLocks, emptyNamespaces, cgroupsMode },
  };
}
