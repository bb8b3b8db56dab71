import { VigilError } from "../base/errors.js";
import { openContainer, type Status, statusOf } from "./container.js";
import type { Context } from "./context.js";
import type { StoredContainer } from "./store.js";

/** "State" of the OCI runtime specification, with what runc adds. */
export interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly owner: string;
}

function stateOf(stored: StoredContainer, status: Status): State {
  const { ociVersion, id, pid, bundle, rootfs, created, annotations, owner } = stored;
  return {
    ociVersion,
    id,
    pid: status === "stopped" ? 0 : pid,
    status,
    bundle,
    rootfs,
    created,
    ...(Object.keys(annotations).length > 0 && { annotations }),
    owner,
  };
}

export function state(context: Context, id: string): State {
  const container = openContainer(context, id);
  return stateOf(container.stored, container.status());
}

/** Every container below the root; one that vanishes meanwhile, or was never finished, is left out. */
export function list(context: Context): State[] {
  return context.store.ids().flatMap((id) => {
    try {
      const stored = context.store.load(id);
      return stored ? [stateOf(stored, statusOf(stored, context.store.directory(id)))] : [];
    } catch (thrown) {
      if (VigilError.from(thrown).code === "not_found") return [];
      throw thrown;
    }
  });
}
