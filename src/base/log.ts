import { writeSync } from "node:fs";

const levels = { debug: 0, info: 1, warning: 2, error: 3 } as const;
export type LogLevel = keyof typeof levels;
export type LogFields = Readonly<Record<string, unknown>>;

/** Constant message, data as fields. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warning(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to every line. */
  with(fields: LogFields): Log;
}

const plain = /^[\w.:/+@-]+$/;

function show(value: unknown): string {
  const text =
    value instanceof Error ? describe(value) : typeof value === "object" ? JSON.stringify(value) : String(value);
  return plain.test(text) ? text : JSON.stringify(text);
}

/** An error with its causes: what a reader of the log needs, in one line. */
function describe(error: Error): string {
  const cause =
    error.cause === undefined ? "" : `: ${error.cause instanceof Error ? describe(error.cause) : String(error.cause)}`;
  return `${error.message}${cause}`;
}

/**
 * Lines of logfmt, as containerd's own log has them: the descriptor is the bundle's log FIFO, whose lines containerd copies
 * into its log.
 */
export function createLog(options: {
  readonly fd: number;
  readonly least: LogLevel;
  readonly fields?: LogFields;
}): Log {
  const fixed = options.fields ?? {};
  const write = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (levels[level] < levels[options.least]) return;
    const data = Object.entries({ ...fixed, ...fields }).map(([name, value]) => ` ${name}=${show(value)}`);
    const line = `time="${new Date().toISOString()}" level=${level} msg=${JSON.stringify(message)}${data.join("")}\n`;
    try {
      writeSync(options.fd, line);
    } catch {
      // EPIPE while containerd is down, EAGAIN when the FIFO is full: a log line must neither end nor block the daemon.
    }
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warning: (message, fields) => write("warning", message, fields),
    error: (message, fields) => write("error", message, fields),
    with: (fields) => createLog({ ...options, fields: { ...fixed, ...fields } }),
  };
}

/** For tests and for those who do not care. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warning: () => undefined,
  error: () => undefined,
  with: () => silentLog,
};
