import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** What is kept of a log: its end, where a failure is. */
const keptBytes = 1 << 20;

/** "(00.021456) Error (criu/vdso.c:613): words"; before CRIU 3 without the brackets. */
const errorLine = /^(?:\([\d.]+\)\s*)?(?:\d+: )?\s*Error \(([^):]*)[^)]*\):? ?(.*)$/;

/** Its tools complain there: of limits that cannot be raised, of programs that failed. Who needed them says why, elsewhere. */
const tools = "criu/util.c";

/** What the last line of every failed run says, whatever failed. */
const conclusion = /^(?:Dumping|Restoring|Pre-dumping) FAILED/;

function endOf(path: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return undefined; // CRIU was not started, or wrote nothing: the caller has the words of whoever tried
  }
  try {
    const { size } = fstatSync(fd);
    const bytes = Buffer.alloc(Math.min(size, keptBytes));
    const read = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    return bytes.subarray(0, read).toString();
  } finally {
    closeSync(fd);
  }
}

export interface CriuLog {
  readonly text: string;
  /** The first error that says what was wrong, as the others follow from it; empty: there is none. */
  readonly error: string;
}

/** CRIU's log of a run that failed; undefined: there is none. */
export function readCriuLog(path: string): CriuLog | undefined {
  const text = endOf(path);
  if (text === undefined) return undefined;
  const errors = text.split("\n").flatMap((line) => {
    const [, file = "", words = ""] = errorLine.exec(line) ?? [];
    return file === "" || conclusion.test(words) ? [] : [{ file, words: words.trim() }];
  });
  const error = errors.find(({ file }) => file !== tools) ?? errors.at(-1);
  return { text, error: error?.words ?? "" };
}
