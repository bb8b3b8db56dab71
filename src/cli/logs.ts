import { once } from "node:events";
import { createReadStream, existsSync, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { VigilError } from "../base/errors.js";
import { logPath, ownNamespace, type Places, places } from "../client/places.js";
import { type Found, findContainer, withShim } from "./find.js";
import type { CommonOptions } from "./verb.js";

export interface LogsOptions extends CommonOptions {
  readonly follow?: boolean;
}

export async function logs(name: string, options: LogsOptions): Promise<void> {
  const at = places();
  const found = findContainer(name, options.namespace, at);
  const path = logOf(found, at);
  if (!options.follow) {
    await copy(path, 0);
    return;
  }
  await follow(path, found);
}

function logOf({ namespace, id }: Found, at: Places): string {
  const path = logPath(at, namespace, id);
  if (existsSync(path)) return path;
  const reason =
    namespace === ownNamespace
      ? "it was started in the foreground, so its output went to that terminal; start it with `vigil run -d`"
      : "its output goes where its manager sent it; ask that manager";
  throw new VigilError("not_found", `there is no log of ${namespace}/${id}: ${reason}`);
}

/** Prints from an offset to the present end; resolves with the next offset. */
async function copy(path: string, start: number): Promise<number> {
  const { size } = await stat(path);
  if (size <= start) return start;
  await pipeline(createReadStream(path, { start, end: size - 1 }), process.stdout, { end: false });
  return size;
}

/** Until the container has ended: what it wrote before its exit is in the file when the exit is told. */
async function follow(path: string, { id, shim: record }: Found): Promise<void> {
  const watcher = watch(path);
  try {
    let ended = !record.alive;
    const exit = ended
      ? Promise.resolve()
      : withShim(record, async ({ task }) => {
          await task.wait({ id, execId: "" });
          ended = true;
        });
    // A failed wait is reported by the race below, or at the end of the loop.
    exit.catch(() => undefined);
    let offset = 0;
    for (;;) {
      const last = ended;
      offset = await copy(path, offset);
      if (last) break;
      if ((await stat(path)).size === offset) await Promise.race([once(watcher, "change"), exit]);
    }
    await exit;
  } finally {
    watcher.close();
  }
}
