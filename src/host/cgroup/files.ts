import { readdirSync, readFileSync } from "node:fs";

// A controller that is off has no file (ENOENT), a removed cgroup answers ENODEV on what is open, pressure that was disabled
// at boot EOPNOTSUPP, a process that ends between open and read ESRCH: each means "nothing to be read".
const absence: ReadonlySet<string | undefined> = new Set([
  "ENOENT",
  "ESRCH",
  "ENODEV",
  "ENOTDIR",
  "EOPNOTSUPP",
  "ENOTSUP",
]);

function absent(thrown: unknown): undefined {
  if (absence.has((thrown as NodeJS.ErrnoException).code)) return undefined;
  throw thrown;
}

/** The text of a kernel file, or undefined where there is none. Synchronous: these never wait for a disk. */
export function readKernelFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    return absent(thrown);
  }
}

/** Names of the directories in a cgroup: its children. */
export function childrenOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name);
  } catch (thrown) {
    return absent(thrown) ?? [];
  }
}
