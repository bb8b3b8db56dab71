import { VigilError } from "../../base/errors.js";
import type { ContainerRef, CreateSpec, Json, RuntimeHandle } from "../../task/ports.js";
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
  /** Where its root was bound onto itself, for want of a mount namespace; empty: nowhere. */
  readonly boundRoot: string;
  /** Name of the session keyring; empty: none. */
  readonly keyring: string;
  /** Owner of the pipes of its processes, execs included. */
  readonly ioUid: number;
  readonly ioGid: number;
  /** Hooks that come after the creation; undefined: none. */
  readonly later: LaterHooks | undefined;
  /** What its start will restore; undefined: it exists. */
  readonly restore?: CreateSpec | undefined;
}

const runtime = "native";

export function encodeHandle(handle: NativeHandle): RuntimeHandle {
  const { placement, namespaces, pid, mountPoint, boundRoot, keyring, ioUid, ioGid, later, restore } = handle;
  return {
    runtime,
    cgroups: placement.mode,
    cgroup: placement.path,
    places: encodePlaces(placement),
    namespaces: `0x${namespaces.toString(16)}`,
    pid,
    mountPoint,
    ...(boundRoot === "" ? {} : { boundRoot }),
    keyring,
    ioUid,
    ioGid,
    ...(later ? { later: laterToJson(later) } : {}),
    ...pendingRestore(restore),
  };
}

function laterToJson({ ociVersion, annotations, poststart, poststop }: LaterHooks): Json {
  const toJson = ({ path, args, env, timeout }: HookSpec): Json => ({ path, args, env, timeout: timeout ?? null });
  return { ociVersion, annotations, poststart: poststart.map(toJson), poststop: poststop.map(toJson) };
}

const modes = ["v1", "hybrid", "v2"] as const;

/** The members of a container's handle, each of the type asked for. */
export function handleReader({ id, handle }: ContainerRef) {
  return {
    text(name: string): string {
      const value = handle[name];
      if (typeof value !== "string") throw broken(id, name);
      return value;
    },
    number(name: string): number {
      const value = handle[name];
      if (typeof value !== "number") throw broken(id, name);
      return value;
    },
    texts(name: string): string[] {
      const value = handle[name];
      if (!Array.isArray(value)) throw broken(id, name);
      return value.map(String);
    },
  };
}

/** The container's cgroups, whichever runtime made them. */
export function placementIn(container: ContainerRef): Placement {
  const { text, texts } = handleReader(container);
  const mode = modes.find((each) => each === container.handle.cgroups);
  if (mode === undefined) throw broken(container.id, "cgroups");
  return decodePlacement(mode, text("cgroup"), texts("places"));
}

export const pendingRestore = (request: CreateSpec | undefined): RuntimeHandle =>
  request ? { restore: JSON.stringify(request) } : {};

/** The request behind a container that its start will restore; our own words, checksummed by the core. */
export function restoreIn(container: ContainerRef): CreateSpec | undefined {
  if (container.handle.restore === undefined) return undefined;
  return JSON.parse(handleReader(container).text("restore")) as CreateSpec;
}

export function decodeHandle(container: ContainerRef): NativeHandle {
  const { text, number } = handleReader(container);
  if (container.handle.runtime !== runtime) throw broken(container.id, "runtime");
  return {
    placement: placementIn(container),
    namespaces: BigInt(text("namespaces")),
    pid: number("pid"),
    mountPoint: text("mountPoint"),
    boundRoot: container.handle.boundRoot === undefined ? "" : text("boundRoot"),
    keyring: text("keyring"),
    ioUid: number("ioUid"),
    ioGid: number("ioGid"),
    later: maybe(checkLaterHooks)(container.handle.later, `container ${container.id}: state: later`),
    restore: restoreIn(container),
  };
}

function broken(id: string, name: string): VigilError {
  return new VigilError("data_loss", `container ${id}: the runtime's state has no usable ${name}`);
}
