import { constants } from "node:os";
import { eachContainer, withShim } from "./find.js";
import { printJson } from "./output.js";
import { signalName } from "./quantities.js";
import type { CommonOptions } from "./verb.js";

export interface KillOptions extends CommonOptions {
  readonly signal?: number;
  readonly all?: boolean;
}

export async function kill(names: readonly string[], options: KillOptions): Promise<void> {
  const signal = options.signal ?? constants.signals.SIGTERM;
  await eachContainer(names, options.namespace, async ({ id, namespace, shim }) => {
    await withShim(shim, ({ task }) => task.kill({ id, execId: "", signal, all: Boolean(options.all) }));
    if (options.json) printJson({ namespace, id, signal: signalName(signal), all: Boolean(options.all) });
  });
}
