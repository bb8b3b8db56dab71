import type { ContainerRef, CreateSpec, RuntimeHandle } from "../../task/ports.js";
import { encodePlaces, type Placement } from "../cgroup/placement.js";
import { handleReader, pendingRestore, placementIn, restoreIn } from "./handle.js";
import type { OciCommand } from "./oci-command.js";

/** What is remembered of a container that an OCI runtime made. */
export interface OciHandle {
  readonly command: OciCommand;
  /** See exchangeDirectory(). */
  readonly directory: string;
  readonly placement: Placement;
  /** Where the request's root file system was mounted; empty if it brought none. */
  readonly mountPoint: string;
  readonly ioUid: number;
  readonly ioGid: number;
  /** What its start will restore; undefined: it exists. */
  readonly restore?: CreateSpec | undefined;
}

export const ociRuntime = "oci";

export function encodeOciHandle({ command, placement, restore, ...rest }: OciHandle): RuntimeHandle {
  const { mode, path } = placement;
  return {
    runtime: ociRuntime,
    command,
    cgroups: mode,
    cgroup: path,
    places: encodePlaces(placement),
    ...rest,
    ...pendingRestore(restore),
  };
}

export function decodeOciHandle(container: ContainerRef): OciHandle {
  const { text, texts, number } = handleReader(container);
  return {
    command: texts("command"),
    directory: text("directory"),
    placement: placementIn(container),
    mountPoint: text("mountPoint"),
    ioUid: number("ioUid"),
    ioGid: number("ioGid"),
    restore: restoreIn(container),
  };
}
