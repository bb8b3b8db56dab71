import { VigilError } from "../base/errors.js";
import { parseSignal } from "../cli/quantities.js";
import { mayOutliveInit, openContainer } from "./container.js";
import type { Context } from "./context.js";

const SIGKILL = 9;

export interface KillOptions {
  /** To every process of the container; then a stopped init is no error. */
  readonly all?: boolean;
}

/** A signal, by name or number, to the init or to all. */
export async function kill(context: Context, id: string, signal: string, { all }: KillOptions): Promise<void> {
  const number = parseSignal(signal);
  const container = openContainer(context, id);
  const { port } = container.runtime();
  const stopped = container.status() === "stopped";
  // Without a pid namespace of its own the init's death would leave the others behind.
  const left = number === SIGKILL && mayOutliveInit(container);
  const everybody = all === true || (left && !stopped);
  if (everybody) return port.signalAll("", container, number);
  if (stopped) throw new VigilError("failed_precondition", "container not running");
  await port.signal("", container, "", number);
}
