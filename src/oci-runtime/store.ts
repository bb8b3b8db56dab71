import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VigilError } from "../base/errors.js";
import { readKernelFile } from "../host/cgroup/files.js";
import type { RuntimeHandle } from "../task/ports.js";

/** What is kept of a container between two commands. */
export interface StoredContainer {
  readonly id: string;
  readonly ociVersion: string;
  readonly bundle: string;
  readonly rootfs: string;
  readonly pid: number;
  /** Of the init, in clock ticks since boot (proc(5)): with the pid it names the process for good. */
  readonly startTime: string;
  /** RFC 3339. */
  readonly created: string;
  readonly owner: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly privatePids: boolean;
  readonly handle: RuntimeHandle;
}

const stateFile = "state.json";
// Not a path, and not one of the two names that every directory has.
const identifier = /^(?!\.{1,2}$)[\w+.-]{1,1024}$/;

/** The directory below `--root` that says which containers there are. */
export interface Store {
  /** Takes the id; `already_exists` if somebody has it. */
  reserve(id: string): string;
  directory(id: string): string;
  save(container: StoredContainer): void;
  /** `not_found` if there is no such container; undefined if its creation never came to an end. */
  load(id: string): StoredContainer | undefined;
  ids(): string[];
  remove(id: string): void;
}

export function createStore(root: string): Store {
  const directory = (id: string): string => {
    if (!identifier.test(id)) throw new VigilError("invalid_argument", `invalid container id ${JSON.stringify(id)}`);
    return join(root, id);
  };
  return {
    directory,
    reserve(id) {
      const own = directory(id);
      const made = mkdirSync(root, { recursive: true, mode: 0o700 });
      // In $XDG_RUNTIME_DIR what is old is swept away, but for what has the sticky bit (XDG Base Directory Specification).
      if (made !== undefined && process.geteuid?.() !== 0) chmodSync(root, 0o1700);
      try {
        mkdirSync(own, { mode: 0o700 });
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown;
        throw new VigilError("already_exists", `container with id ${id} already exists`, { cause: thrown });
      }
      // Whatever the umask is: the init's socket is in it.
      chmodSync(own, 0o700);
      return own;
    },
    save(container) {
      const path = join(directory(container.id), stateFile);
      writeFileSync(`${path}.new`, `${JSON.stringify(container)}\n`, { mode: 0o600 });
      renameSync(`${path}.new`, path);
    },
    load(id) {
      const text = readKernelFile(join(directory(id), stateFile));
      if (text !== undefined) return JSON.parse(text) as StoredContainer;
      try {
        readdirSync(directory(id));
      } catch (cause) {
        throw new VigilError("not_found", `container ${id} does not exist`, { cause });
      }
      return undefined;
    },
    ids() {
      try {
        return readdirSync(root).filter((name) => identifier.test(name));
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw thrown;
      }
    },
    remove: (id) => rmSync(directory(id), { recursive: true, force: true }),
  };
}

/** What `create` leaves before anything is made, for the case that it does not come to its end: what C can undo. */
export function writeTeardown(directory: string, record: string): void {
  writeFileSync(join(directory, "teardown"), record, { mode: 0o600 });
}

/** The cgroups of that record. */
export function teardownCgroups(directory: string): string[] {
  const record = readKernelFile(join(directory, "teardown")) ?? "";
  return record.split("\n").flatMap((line) => /^cgroup [12] (.*)$/.exec(line)?.[1] ?? []);
}

/** In the container's directory as long as its init waits for `start`. */
export const startSocketName = "start.sock";

export interface ProcessLook {
  readonly alive: boolean;
  readonly startTime: string;
}

/** stat of proc(5): the name may hold anything but ends with the last parenthesis; state is field 3, start time field 22. */
export function lookAtProcess(pid: number): ProcessLook {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    // Gone: ENOENT before the open, ESRCH after it.
    return { alive: false, startTime: "" };
  }
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { alive: !/^[ZXx]$/.test(fields[0] ?? "X"), startTime: fields[19] ?? "" };
}
