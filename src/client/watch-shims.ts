import { type FSWatcher, statSync, watch } from "node:fs";
import { dirname, join } from "node:path";
import type { Places } from "./places.js";
import { directories } from "./records.js";

/**
 * Calls back whenever the records of shims may have changed: at once for a new shim, and sometimes for nothing. Returns what
 * ends it. Throws where the kernel gives no watches (inotify(7), max_user_instances and max_user_watches).
 */
export function watchShims(at: Places, changed: () => void): () => void {
  const watchers = new Map<string, { inode: number; watcher: FSWatcher }>();
  let pending: NodeJS.Immediate | undefined;

  const drop = (path: string) => {
    watchers.get(path)?.watcher.close();
    watchers.delete(path);
  };
  const refresh = () => {
    const wanted = new Map(watched(at).flatMap((path) => withInode(path)));
    for (const [path, { inode }] of watchers) if (wanted.get(path) !== inode) drop(path);
    for (const [path, inode] of wanted) {
      if (watchers.has(path)) continue;
      const watcher = watch(path, notice);
      // The directory went away; its parent's watch tells the rest.
      watcher.on("error", () => drop(path));
      watchers.set(path, { inode, watcher });
    }
  };
  // A burst of changes, as a new shim makes, is one.
  const notice = () => {
    pending ??= setImmediate(() => {
      pending = undefined;
      refresh();
      changed();
    });
  };

  refresh();
  return () => {
    clearImmediate(pending);
    for (const path of [...watchers.keys()]) drop(path);
  };
}

/** Every directory in which something can appear that leads to a shim's records, from above the run directory down. */
function watched(at: Places): string[] {
  const root = join(at.run, "cores");
  const namespaces = directories(root).map((name) => join(root, name));
  const shims = namespaces.flatMap((path) => directories(path).map((name) => join(path, name)));
  return [dirname(at.run), at.run, root, ...namespaces, ...shims];
}

function withInode(path: string): [string, number][] {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat ? [[path, stat.ino]] : [];
}
