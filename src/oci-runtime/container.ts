import { existsSync } from "node:fs";
import { join } from "node:path";
import { VigilError } from "../base/errors.js";
import { readKernelFile } from "../host/cgroup/files.js";
import { freezerPlace } from "../host/cgroup/placement.js";
import { decodeHandle } from "../host/runtime/handle.js";
import { createNativeRuntime } from "../host/runtime/native.js";
import type { ContainerRef, Runtime } from "../task/ports.js";
import type { Context } from "./context.js";
import { createSolo, type Joining, type Solo } from "./solo.js";
import { lookAtProcess, type StoredContainer, startSocketName } from "./store.js";

/** "State" of the OCI runtime specification (runtime.md), and runc's `paused`. */
export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** A container that exists, as a command finds it. */
export interface Container extends ContainerRef {
  readonly stored: StoredContainer;
  readonly directory: string;
  status(): Status;
  /** Commands need no key here, and what of the port only a supervisor can do is refused. */
  runtime(joining?: Joining): { readonly port: Runtime; readonly solo: Solo };
}

/** Part of every name that vigil gives: cgroups without a path of their own are below /vigil/runtime. */
export const runtimeNamespace = "runtime";

const alone: Joining = { preserved: 0, wait: false };

export function createRuntime(
  context: Context,
  directory: string,
  joining: Joining = alone,
  init?: { readonly pid: number; readonly startTime: string },
): { readonly port: Runtime; readonly solo: Solo } {
  const solo = createSolo({ directory, joining, ...(init && { init }) });
  return {
    port: createNativeRuntime(solo, { namespace: runtimeNamespace, log: context.log, criu: context.criu }),
    solo,
  };
}

export function statusOf(stored: StoredContainer, directory: string): Status {
  const look = lookAtProcess(stored.pid);
  if (!look.alive || look.startTime !== stored.startTime) return "stopped";
  if (isFrozen(stored)) return "paused";
  return existsSync(join(directory, startSocketName)) ? "created" : "running";
}

function isFrozen(stored: StoredContainer): boolean {
  const place = freezerPlace(decodeHandle(stored).placement);
  if (!place) return false;
  const [file, frozen] = place.version === 1 ? ["freezer.state", "FROZEN"] : ["cgroup.freeze", "1"];
  return readKernelFile(`${place.directory}/${file}`)?.trim() === frozen;
}

/** Whether processes may be left when the init has died, and can be told from others. */
export function mayOutliveInit({ stored }: Container): boolean {
  return !stored.privatePids && decodeHandle(stored).placement.places.length > 0;
}

/** `not_found` if there is none; one whose creation did not come to its end can only be deleted by force. */
export function openContainer(context: Context, id: string): Container {
  const stored = context.store.load(id);
  const directory = context.store.directory(id);
  if (!stored) {
    throw new VigilError("failed_precondition", `container ${id} was never finished: remove it with delete --force`);
  }
  return {
    id,
    bundle: stored.bundle,
    handle: stored.handle,
    stored,
    directory,
    status: () => statusOf(stored, directory),
    runtime: (joining) => createRuntime(context, directory, joining, stored),
  };
}
