import { existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
/** As much of a core as its files need. */
export interface DeadCore {
  readonly namespace: string;
  readonly group: string;
  readonly stateDirectory: string;
}

/** The file in a core's state directory that holds the number of the last event taken, once the core can note it no more. */
const fileName = "delivered";

/**
 * Leaves word for the launcher's `delete`, which publishes what a dead core still owes: without it, an event that containerd took while
 * the core died would be published twice. A core that leaves in order has removed its entry first, and needs no word.
 */
export function leaveWord(core: DeadCore, runDirectory: string, delivered: bigint): void {
  const entry = join(runDirectory, "cores", core.namespace, core.group, "core");
  if (!existsSync(entry) || !existsSync(core.stateDirectory)) return;
  const path = join(core.stateDirectory, fileName);
  writeFileSync(`${path}.new`, `${delivered}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
