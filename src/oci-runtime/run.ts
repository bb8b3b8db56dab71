import { mayOutliveInit, openContainer } from "./container.js";
import type { Context } from "./context.js";
import { type CreateOptions, create } from "./create.js";
import { deleteContainer } from "./delete.js";
import { start } from "./start.js";

export interface RunOptions extends CreateOptions {
  readonly detach?: boolean;
  /** Leave the container after its exit. */
  readonly keep?: boolean;
}

/** Creates and starts; in the foreground waits for the end, removes the container, and gives its exit status. */
export async function run(context: Context, id: string, options: RunOptions): Promise<number> {
  const foreground = options.detach !== true;
  const solo = await create(context, id, options, foreground);
  try {
    await start(context, id);
  } catch (thrown) {
    await deleteContainer(context, id, { force: true });
    throw thrown;
  }
  if (!foreground) return 0;
  const status = await solo.exited();
  const container = openContainer(context, id);
  // Without a pid namespace of its own the init's end does not end the others.
  if (mayOutliveInit(container)) await container.runtime().port.signalAll("", container, 9);
  if (options.keep !== true) await deleteContainer(context, id, { force: true });
  return status;
}
