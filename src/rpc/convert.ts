import { readFile } from "node:fs/promises";
import { VigilError } from "../base/errors.js";
import { CreateOptions } from "../gen/containerd/linux/runc/runc.js";
import { Options } from "../gen/containerd/runc/v1/oci.js";
import type { CreateTaskRequest } from "../gen/containerd/task/v3/shim.js";
import { Status as WireStatus } from "../gen/containerd/types/task/task.js";
import type { Any } from "../gen/google/protobuf/any.js";
import type { Timestamp } from "../gen/google/protobuf/timestamp.js";
import { Options as GenericOptions } from "../gen/runtimeoptions/v1/api.js";
import type { CreateSpec, RuntimeOptions } from "../task/ports.js";
import type { Status } from "../task/state.js";

/** Wire messages to the model's words and back; everything a client may get wrong is refused here. */

const wireStatus: Readonly<Record<Status, WireStatus>> = {
  created: WireStatus.CREATED,
  running: WireStatus.RUNNING,
  pausing: WireStatus.PAUSING,
  paused: WireStatus.PAUSED,
  stopped: WireStatus.STOPPED,
  deleted: WireStatus.STOPPED,
};

export function toWireStatus(status: Status): WireStatus {
  return wireStatus[status];
}

const secondNs = 1_000_000_000n;

/** Nanoseconds since 1970; 0n: it has not happened, and the field stays unset. */
export function toTimestamp(at: bigint): Timestamp | undefined {
  return at === 0n ? undefined : { seconds: at / secondNs, nanos: Number(at % secondNs) };
}

export function fromTimestamp(timestamp: Timestamp | undefined): bigint {
  return timestamp ? timestamp.seconds * secondNs + BigInt(timestamp.nanos) : 0n;
}

// containerd's identifiers (pkg/identifiers): what it accepts everywhere, and what is safe as a name of a file or cgroup.
const identifier = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
const identifierMax = 76;

export function checkId(what: string, id: string): string {
  if (id === "") throw new VigilError("invalid_argument", `${what} must not be empty`);
  if (id.length > identifierMax) {
    throw new VigilError(
      "invalid_argument",
      `${what} ${JSON.stringify(id)} is longer than ${identifierMax} characters`,
    );
  }
  if (!identifier.test(id))
    throw new VigilError("invalid_argument", `${what} ${JSON.stringify(id)} must match ${identifier.source}`);
  return id;
}

/** The name of an Any's message, with or without a prefix such as type.googleapis.com/. */
export function typeName(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

const defaults: RuntimeOptions = {
  noPivotRoot: false,
  noNewKeyring: false,
  shimCgroup: "",
  ioUid: 0,
  ioGid: 0,
  binaryName: "",
  root: "",
  systemdCgroup: false,
  criuImagePath: "",
  criuWorkPath: "",
};

type OptionsReader = (value: Uint8Array) => RuntimeOptions | Promise<RuntimeOptions>;

const optionsReaders: Readonly<Record<string, OptionsReader>> = {
  [Options.$type]: (value) => {
    const o = Options.decode(value);
    return {
      noPivotRoot: o.noPivotRoot,
      noNewKeyring: o.noNewKeyring,
      shimCgroup: o.shimCgroup,
      ioUid: o.ioUid,
      ioGid: o.ioGid,
      binaryName: o.binaryName,
      root: o.root,
      systemdCgroup: o.systemdCgroup,
      criuImagePath: o.criuImagePath,
      criuWorkPath: o.criuWorkPath,
    };
  },
  [CreateOptions.$type]: (value) => {
    const o = CreateOptions.decode(value);
    return {
      ...defaults,
      noPivotRoot: o.noPivotRoot,
      noNewKeyring: o.noNewKeyring,
      shimCgroup: o.shimCgroup,
      ioUid: o.ioUid,
      ioGid: o.ioGid,
      criuImagePath: o.criuImagePath,
      criuWorkPath: o.criuWorkPath,
    };
  },
  [GenericOptions.$type]: async (value) => {
    const { configBody, configPath } = GenericOptions.decode(value);
    return fromTable(configBody.length === 0 && configPath !== "" ? await readFile(configPath) : configBody);
  },
};

/** The options table of containerd's CRI configuration arrives as TOML text, or as a file of it (internal/cri/config). */
async function fromTable(body: Uint8Array): Promise<RuntimeOptions> {
  if (body.length === 0) return defaults;
  const { parse } = await import("smol-toml");
  const table = parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  const text = (key: string): string => (typeof table[key] === "string" ? table[key] : "");
  const flag = (key: string): boolean => table[key] === true;
  const number = (key: string): number => (typeof table[key] === "number" ? table[key] : 0);
  return {
    noPivotRoot: flag("NoPivotRoot"),
    noNewKeyring: flag("NoNewKeyring"),
    shimCgroup: text("ShimCgroup"),
    ioUid: number("IoUid"),
    ioGid: number("IoGid"),
    binaryName: text("BinaryName"),
    root: text("Root"),
    systemdCgroup: flag("SystemdCgroup"),
    criuImagePath: text("CriuImagePath"),
    criuWorkPath: text("CriuWorkPath"),
  };
}

export async function toRuntimeOptions(options: Any | undefined): Promise<RuntimeOptions> {
  if (!options || options.typeUrl === "") return defaults;
  const read = optionsReaders[typeName(options.typeUrl)];
  if (!read)
    throw new VigilError("invalid_argument", `runtime options of unknown type ${JSON.stringify(options.typeUrl)}`);
  try {
    return await read(options.value);
  } catch (error) {
    throw new VigilError("invalid_argument", `malformed runtime options of type ${typeName(options.typeUrl)}`, {
      cause: error,
    });
  }
}

export function toCreateSpec(request: CreateTaskRequest, options: RuntimeOptions): CreateSpec {
  if (request.parentCheckpoint !== "") {
    throw new VigilError("invalid_argument", "parent_checkpoint: a checkpoint upon another one is not supported");
  }
  const { stdin, stdout, stderr, terminal, rootfs, bundle, checkpoint } = request;
  const id = checkId("id", request.id);
  return { id, bundle, rootfs, stdio: { stdin, stdout, stderr, terminal }, options, checkpoint };
}

/** The JSON text of an Any such as a process or resources. */
export function toJsonText(what: string, any: Any | undefined): string {
  if (!any || any.value.length === 0) throw new VigilError("invalid_argument", `${what} is missing`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(any.value);
  } catch (error) {
    throw new VigilError("invalid_argument", `${what} is not UTF-8`, { cause: error });
  }
}
