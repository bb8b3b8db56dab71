import type { Timestamp } from "../gen/google/protobuf/timestamp.js";

/** Undefined for an unset time, which containerd writes as zero or as Go's year 1. */
export function milliseconds(timestamp: Timestamp | undefined): number | undefined {
  if (!timestamp || timestamp.seconds <= 0n) return undefined;
  return Number(timestamp.seconds) * 1000 + timestamp.nanos / 1_000_000;
}

/** ISO 8601 with all the nanoseconds there are. */
export function isoTime(timestamp: Timestamp | undefined): string | null {
  if (!timestamp || timestamp.seconds <= 0n) return null;
  const whole = new Date(Number(timestamp.seconds) * 1000).toISOString().slice(0, -5);
  return `${whole}.${String(timestamp.nanos).padStart(9, "0")}Z`;
}

/** Time of day here, for a person looking at a screen. */
export function clockTime(timestamp: Timestamp | undefined): string {
  const at = milliseconds(timestamp);
  if (at === undefined) return "-";
  const date = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return `${day} ${time}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
