import { constants } from "node:os";
import { InvalidArgumentError } from "commander";

/** Quantities as people write and read them. What cannot be understood is a usage error. */

const scales: Readonly<Record<string, number>> = { "": 0, k: 10, m: 20, g: 30, t: 40 };

/** `64m`, `1.5g`, `512KiB`, `65536`: powers of 1024, as in every container manager. */
export function parseBytes(text: string): bigint {
  const match = /^(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const shift = scales[match?.[2]?.toLowerCase() ?? "none"];
  if (!match || shift === undefined) throw new InvalidArgumentError("write it like 64m, 1.5g or a number of bytes.");
  const bytes = BigInt(Math.round(Number(match[1]) * 2 ** shift));
  if (bytes <= 0n) throw new InvalidArgumentError("it must be more than nothing.");
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw new InvalidArgumentError("it is more than any machine has.");
  return bytes;
}

const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function formatBytes(bytes: bigint): string {
  let unit = 0;
  let amount = Number(bytes);
  while (amount >= 1024 && unit < units.length - 1) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1).replace(/\.0$/, "")} ${units[unit]}`;
}

/** Counters say "no limit" with their greatest value: 2^64-1 on cgroup v2, 2^63 rounded to pages on v1. */
export function isUnlimited(bytes: bigint): boolean {
  return bytes >= 1n << 62n;
}

export function parsePositive(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0)
    throw new InvalidArgumentError("a number greater than zero is needed.");
  return value;
}

export function parseCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 2 ** 31) throw new InvalidArgumentError("a whole number is needed.");
  return value;
}

export function parseSequence(text: string): bigint {
  if (!/^\d{1,19}$/.test(text)) throw new InvalidArgumentError("a sequence number is needed, as events show it.");
  return BigInt(text);
}

const realtimeFirst = 34; // SIGRTMIN of glibc; 32 and 33 are its own (signal(7))
const realtimeLast = 64;

/** `TERM`, `SIGTERM`, `15`, `RTMIN+3`. */
export function parseSignal(text: string): number {
  const name = text.toUpperCase().replace(/^SIG/, "");
  const known = (constants.signals as Readonly<Record<string, number>>)[`SIG${name}`];
  if (known !== undefined) return known;
  const realtime = /^RT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  const offset = realtime ? Number(`${realtime[2] ?? "+"}${realtime[3] ?? 0}`) : 0;
  const value = realtime ? (realtime[1] === "MIN" ? realtimeFirst : realtimeLast) + offset : Number(name);
  const lowest = realtime ? realtimeFirst : 1;
  if (Number.isInteger(value) && value >= lowest && value <= realtimeLast && name !== "") return value;
  throw new InvalidArgumentError("no such signal; see `kill -l`.");
}

export function signalName(signal: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => number === signal);
  return found ? found[0] : `signal ${signal}`;
}

export function parseUser(text: string): { uid: number; gid: number } {
  const match = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  const [uid, gid] = [Number(match?.[1]), Number(match?.[2] ?? 0)];
  // 2^32-1 is "no change" to setuid(2), not a user.
  if (!match || uid >= 2 ** 32 - 1 || gid >= 2 ** 32 - 1) {
    throw new InvalidArgumentError("numbers are needed, as in 1000 or 1000:1000.");
  }
  return { uid, gid };
}

export function parseEnvironment(text: string, previous: readonly string[] = []): string[] {
  const [name] = text.split("=", 1);
  if (!name) throw new InvalidArgumentError("write it like NAME=VALUE, or NAME to pass on your own.");
  if (text.includes("=")) return [...previous, text];
  const own = process.env[name];
  return own === undefined ? [...previous] : [...previous, `${name}=${own}`];
}

const spans: readonly (readonly [string, number])[] = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1],
];

/** The two largest units: `3d 4h`, `12s`. */
export function formatAge(milliseconds: number): string {
  let seconds = Math.max(0, Math.round(milliseconds / 1000));
  const parts: string[] = [];
  for (const [unit, length] of spans) {
    const count = Math.floor(seconds / length);
    seconds -= count * length;
    if (count > 0) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(" ") || "0s";
}
