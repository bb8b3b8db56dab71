import { VigilError } from "../../base/errors.js";
import type { ContainerRef, Json, RuntimeHandle } from "../../task/ports.js";
import { decodePlacement, encodePlaces, type Placement } from "../cgroup/placement.js";
import { maybe } from "../oci/check.js";
import { checkLaterHooks, type HookSpec, type LaterHooks } from "../oci/hooks.js";

/** What the native runtime remembers of a container. */
export interface NativeHandle {
  readonly placement: Placement;
  /** Kinds of namespaces that the container has (CLONE_NEW... flags): an exec enters these. */
  readonly namespaces: bigint;
  readonly pid: number;
  /** Where the request's root file system was mounted; empty if it brought none. */
  readonly mountPoint: string;
  /** Name of the session keyring; empty: none. */
  readonly keyring: string;
  /** Owner of the pipes of its processes, execs included. */
  readonly ioUid: number;
  readonly ioGid: number;
  /** Hooks that come after the creation; undefined: none. */
  readonly later: LaterHooks | undefined;
}

const runtime = "native";

export function encodeHandle(handle: NativeHandle): RuntimeHandle {
  const { placement, namespaces, pid, mountPoint, keyring, ioUid, ioGid, later } = handle;
  return {
    runtime,
    cgroups: placement.mode,
    cgroup: placement.path,
    places: encodePlaces(placement),
    namespaces: `0x${namespaces.toString(16)}`,
    pid,
    mountPoint,
    keyring,
    ioUid,
    ioGid,
    ...(later ? { later: laterToJson(later) } : {}),
  };
}

function laterToJson({ ociVersion, annotations, poststart, poststop }: LaterHooks): Json {
  const toJson = ({ path, args, env, timeout }: HookSpec): Json => ({ path, args, env, timeout: timeout ?? null });
  return { ociVersion, annotations, poststart: poststart.map(toJson), poststop: poststop.map(toJson) };
}

const modes = ["v1", "hybrid", "v2"] as const;

export function decodeHandle({ id, handle }: ContainerRef): NativeHandle {
  const text = (name: string): string => {
    const value = handle[name];
    if (typeof value !== "string") throw broken(id, name);
    return value;
  };
  const number = (name: string): number => {
    const value = handle[name];
    if (typeof value !== "number") throw broken(id, name);
    return value;
  };
  const mode = modes.find((each) => each === handle.cgroups);
  const { places } = handle;
  if (handle.runtime !== runtime || mode === undefined) throw broken(id, "runtime");
  if (!Array.isArray(places)) throw broken(id, "places");
  return {
    placement: decodePlacement(mode, text("cgroup"), places.map(String)),
    namespaces: BigInt(text("namespaces")),
    pid: number("pid"),
    mountPoint: text("mountPoint"),
    keyring: text("keyring"),
    ioUid: number("ioUid"),
    ioGid: number("ioGid"),
    later: maybe(checkLaterHooks)(handle.later, `container ${id}: state: later`),
  };
}

function broken(id: string, name: string): VigilError {
  return new VigilError("data_loss", `container ${id}: the runtime's state has no usable ${name}`);
}
