import { eachContainer, withShim } from "./find.js";
import { printJson } from "./output.js";
import type { CommonOptions } from "./verb.js";

export async function resume(names: readonly string[], options: CommonOptions): Promise<void> {
  await eachContainer(names, options.namespace, async ({ id, namespace, shim }) => {
    await withShim(shim, ({ task }) => task.resume({ id }));
    if (options.json) printJson({ namespace, id, status: "running" });
  });
}
