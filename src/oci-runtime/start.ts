import { VigilError } from "../base/errors.js";
import { openContainer } from "./container.js";
import type { Context } from "./context.js";
import { markStarted } from "./create.js";

const refusals = {
  creating: "it is still being created",
  running: "cannot start an already running container",
  paused: "cannot start a paused container",
  stopped: "cannot start a container that has stopped",
} as const;

/** Lets the init go; resolves once its execve succeeded. */
export async function start(context: Context, id: string): Promise<void> {
  const container = openContainer(context, id);
  const status = container.status();
  if (status !== "created") throw new VigilError("failed_precondition", refusals[status]);
  try {
    await container.runtime().port.start("", container);
  } finally {
    markStarted(container.directory);
  }
}
