import { places } from "../client/places.js";
import { eachContainer, withShim } from "./find.js";
import { print, printJson } from "./output.js";
import { removeStopped } from "./removal.js";
import { isoTime } from "./times.js";
import type { CommonOptions } from "./verb.js";

export interface WaitOptions extends CommonOptions {
  readonly rm?: boolean;
}

export async function wait(names: readonly string[], options: WaitOptions): Promise<void> {
  const at = places();
  await eachContainer(names, options.namespace, async ({ id, namespace, bundle, shim: record }) => {
    await withShim(record, async (shim) => {
      const { exitStatus, exitedAt } = await shim.task.wait({ id, execId: "" });
      if (options.rm) await removeStopped(shim, { at, namespace, id, bundle });
      if (options.json) printJson({ namespace, id, exitStatus, exitedAt: isoTime(exitedAt) });
      else print(String(exitStatus));
    });
  });
}
