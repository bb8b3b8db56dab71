import type { Log } from "../../base/log.js";
import type { CoreCommands } from "../core/commands.js";
import { encodeOps } from "../core/ops.js";
import type { LaterHooks } from "../oci/hooks.js";
import { type Named, poststartOps, poststopOps } from "./hooks.js";

/** In their order, until one fails. */
export async function runPoststart(
  core: CoreCommands,
  key: string,
  container: Named & { readonly pid: number },
  later: LaterHooks | undefined,
): Promise<void> {
  const ops = later ? poststartOps(later, container, container.pid) : [];
  for (const [index, op] of ops.entries()) {
    await core.script(`${key}/poststart-${index}`, encodeOps([op]), { undo: false });
  }
}

/** All of them: a failure is a warning (OCI runtime.md, "Lifecycle"). */
export async function runPoststop(
  core: CoreCommands,
  key: string,
  container: Named,
  later: LaterHooks | undefined,
  log: Log,
): Promise<void> {
  const ops = later ? poststopOps(later, container) : [];
  for (const [index, op] of ops.entries()) {
    try {
      await core.script(`${key}/poststop-${index}`, encodeOps([op]), { undo: false });
    } catch (err) {
      log.warning("poststop hook failed", { id: container.id, err });
    }
  }
}
