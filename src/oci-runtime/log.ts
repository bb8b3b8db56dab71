import { closeSync, openSync, writeSync } from "node:fs";
import type { Log, LogFields } from "../base/log.js";

export interface LogOptions {
  /** Empty: standard error. */
  readonly path: string;
  readonly format: "text" | "json";
  readonly debug: boolean;
}

/**
 * The log of `--log` and `--log-format`, in the form that callers of runc parse: go-runc and conmon take the last line whose
 * level is `error` for the reason of a failure.
 */
export function createRuntimeLog({ path, format, debug }: LogOptions): Log {
  const write = (level: string, msg: string, fields: LogFields): void => {
    const time = new Date().toISOString();
    const words = Object.entries(fields).map(([name, value]) => [name, describe(value)] as const);
    const line =
      format === "json"
        ? JSON.stringify({ ...Object.fromEntries(words), level, msg, time })
        : [
            `time="${time}" level=${level} msg=${JSON.stringify(msg)}`,
            ...words.map(([n, v]) => `${n}=${JSON.stringify(v)}`),
          ].join(" ");
    append(path, `${line}\n`);
  };
  const at =
    (level: string, wanted: boolean) =>
    (msg: string, fields: LogFields = {}) => {
      if (wanted) write(level, msg, fields);
    };
  const log: Log = {
    debug: at("debug", debug),
    info: at("info", true),
    warning: at("warning", true),
    error: at("error", true),
    with: () => log,
  };
  return log;
}

function describe(value: unknown): string {
  return value instanceof Error ? value.message : typeof value === "string" ? value : JSON.stringify(value);
}

function append(path: string, line: string): void {
  if (path === "") {
    process.stderr.write(line);
    return;
  }
  const fd = openSync(path, "a", 0o644);
  try {
    writeSync(fd, line);
  } finally {
    closeSync(fd);
  }
}
