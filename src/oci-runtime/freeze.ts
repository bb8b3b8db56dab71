import { VigilError } from "../base/errors.js";
import { openContainer } from "./container.js";
import type { Context } from "./context.js";

/** Freezes every process of a container that is created or running. */
export async function pause(context: Context, id: string): Promise<void> {
  const container = openContainer(context, id);
  const status = container.status();
  if (status !== "running" && status !== "created") {
    throw new VigilError("failed_precondition", `container not running: it is ${status}`);
  }
  await container.runtime().port.pause("", container);
}

export async function resume(context: Context, id: string): Promise<void> {
  const container = openContainer(context, id);
  if (container.status() !== "paused") throw new VigilError("failed_precondition", "container not paused");
  await container.runtime().port.resume("", container);
}
