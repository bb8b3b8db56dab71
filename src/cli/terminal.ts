import { execFileSync } from "node:child_process";
import { refuse } from "./verb.js";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export function terminalSize(): Size {
  return { columns: process.stdout.columns ?? 0, rows: process.stdout.rows ?? 0 };
}

export function requireTerminal(): void {
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    refuse("error: -t needs a terminal on standard input and output; leave it out, or run vigil in one");
  }
}

/**
 * Hands every key to the container, including those that would make signals here. Returns what gives the terminal back; it is
 * given back too if the program ends any other way short of SIGKILL.
 */
export function takeTerminal(): () => void {
  const restore = () => {
    process.off("exit", restore);
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  };
  process.on("exit", restore);
  process.stdin.setRawMode(true);
  // Node's raw mode goes on turning \n into \r\n on output, which breaks programs that move the cursor down with it. What Node
  // restores covers this too: it is the mode it found.
  execFileSync("stty", ["-opost"], { stdio: ["inherit", "ignore", "inherit"] });
  return restore;
}

/** Calls back with the size now and whenever it changes; returns what ends that. */
export function watchSize(changed: (size: Size) => void): () => void {
  const tell = () => changed(terminalSize());
  process.stdout.on("resize", tell);
  tell();
  return () => process.stdout.off("resize", tell);
}
