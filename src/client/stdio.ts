import { execFile } from "node:child_process";
import { close, constants, open } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { promisify } from "node:util";

/** Stream addresses as a Create or Exec request has them: "", a path, `file://` or `binary://`. */
export interface StdioSpec {
  readonly stdin: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: boolean;
}

/**
 * FIFOs between a container's process and this program. The shim opens its ends while it creates the process (an exec: starts
 * it), and needs a reader then; so the reading ends are open from the beginning. Until the shim has its own, a writing end
 * held here keeps end-of-file away: call `connected()` once the shim has answered.
 */
export interface Stdio {
  readonly spec: StdioSpec;
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  /** Absent with a terminal: there is only one output. */
  readonly stderr: Readable | undefined;
  connected(): Promise<void>;
  /** Closes what is open and removes the FIFOs; data not yet read is lost. */
  dispose(): Promise<void>;
}

export interface StdioChoices {
  readonly terminal: boolean;
  readonly stdin: boolean;
}

const run = promisify(execFile);
const openFile = promisify(open);
const closeFile = promisify(close);

/** Makes `directory` and in it the FIFOs. */
export async function openStdio(directory: string, choices: StdioChoices): Promise<Stdio> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = (name: string) => join(directory, name);
  const inputPath = choices.stdin ? path("stdin") : "";
  const errorPath = choices.terminal ? "" : path("stderr");
  const paths = [inputPath, path("stdout"), errorPath].filter((each) => each !== "");
  // Node has no mkfifo(3); coreutils are everywhere.
  await run("mkfifo", ["-m", "600", "--", ...paths]);

  const holders: number[] = [];
  const reader = async (fifo: string): Promise<Socket> => {
    const fd = await openFile(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
    holders.push(await openFile(fifo, constants.O_WRONLY | constants.O_NONBLOCK));
    return new Socket({ fd, readable: true, writable: false });
  };
  const stdout = await reader(path("stdout"));
  const stderr = errorPath === "" ? undefined : await reader(errorPath);
  // O_WRONLY alone fails with ENXIO until the shim reads (fifo(7)).
  const stdin = choices.stdin
    ? new Socket({
        fd: await openFile(inputPath, constants.O_RDWR | constants.O_NONBLOCK),
        readable: false,
        writable: true,
      })
    : undefined;

  const connected = async (): Promise<void> => {
    await Promise.all(holders.splice(0).map((fd) => closeFile(fd)));
  };
  return {
    spec: { stdin: inputPath, stdout: path("stdout"), stderr: errorPath, terminal: choices.terminal },
    stdin,
    stdout,
    stderr,
    connected,
    async dispose() {
      await connected();
      for (const stream of [stdin, stdout, stderr]) stream?.destroy();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
