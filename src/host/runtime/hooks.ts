import { containerHook, hook, type Op, runtimeHook } from "../core/ops.js";
import type { HookName, HookSpec, HooksSpec, LaterHooks } from "../oci/hooks.js";
import type { Spec } from "../oci/spec.js";
import { type Identity, stateAround, stateWithoutPid } from "./state.js";

function program(name: HookName, index: number, { path, args, env, timeout = 0 }: HookSpec, directory: string) {
  const argv = args.length > 0 ? args : [path];
  return { name: `${name} hook #${index}`, path, argv, env, timeoutMs: timeout * 1000, directory };
}

export interface BirthHooks {
  /** After the mounts, before the root is changed. */
  readonly beforePivot: readonly Op[];
  /** After Start, before the program. */
  readonly beforeExec: readonly Op[];
}

/** The hooks of a birth. Those of the runtime's namespaces run in the bundle, as with runc, the others in the container's root. */
export function birthHooks(hooks: HooksSpec | undefined, identity: Identity, rootfs: string): BirthHooks {
  const inRuntime = (name: HookName): Op[] =>
    (hooks?.[name] ?? []).map((spec, index) =>
      runtimeHook(program(name, index, spec, identity.bundle), ...stateAround(identity, "creating")),
    );
  const inContainer = (name: HookName, status: string, directory: string): Op[] =>
    (hooks?.[name] ?? []).map((spec, index) =>
      containerHook(program(name, index, spec, directory), ...stateAround(identity, status)),
    );
  return {
    beforePivot: [
      ...inRuntime("prestart"),
      ...inRuntime("createRuntime"),
      ...inContainer("createContainer", "creating", rootfs),
    ],
    beforeExec: inContainer("startContainer", "created", ""),
  };
}

/** Undefined: no hook comes after the birth. */
export function laterHooks({ hooks, ociVersion, annotations }: Spec): LaterHooks | undefined {
  if (!hooks || hooks.poststart.length + hooks.poststop.length === 0) return undefined;
  return { ociVersion, annotations: [...annotations], poststart: hooks.poststart, poststop: hooks.poststop };
}

export type Named = Pick<Identity, "id" | "bundle">;

export function poststartOps(later: LaterHooks, named: Named, pid: number): Op[] {
  const state = stateAround({ ...named, ...later }, "running").join(String(pid));
  return later.poststart.map((spec, index) => hook(program("poststart", index, spec, named.bundle), state));
}

export function poststopOps(later: LaterHooks, named: Named): Op[] {
  const state = stateWithoutPid({ ...named, ...later }, "stopped");
  return later.poststop.map((spec, index) => hook(program("poststop", index, spec, named.bundle), state));
}
