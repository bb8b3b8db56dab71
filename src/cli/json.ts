import type { Container, Event, OomReport } from "../gen/vigil/v1/vigil.js";
import { statusName } from "./status.js";
import { decodeEvent } from "./task-events.js";
import { isoTime } from "./times.js";

/** What `--json` prints: names as in the messages, times as ISO 8601, enumerations as words, 64-bit numbers as strings. */

export function containerJson(container: Container): object {
  const { status, createdAt, startedAt, exitedAt, execs, ...same } = container;
  return {
    ...same,
    status: statusName(status),
    createdAt: isoTime(createdAt),
    startedAt: isoTime(startedAt),
    exitedAt: isoTime(exitedAt),
    execs: execs.map((exec) => ({ ...exec, status: statusName(exec.status) })),
  };
}

export function eventJson({ timestamp, event, ...same }: Event): object {
  return { ...same, timestamp: isoTime(timestamp), event: event ? decodeEvent(event) : null };
}

const certainties = ["unknown", "inferred", "certain"];
const causes = ["unknown", "own limit", "ancestor limit", "host", "userspace"];
const scopes = ["unknown", "init", "child", "exec"];

export function reportJson({ detectedAt, certainty, cause, scope, ...same }: OomReport): object {
  return {
    ...same,
    detectedAt: isoTime(detectedAt),
    certainty: certainties[certainty] ?? "unknown",
    cause: causes[cause] ?? "unknown",
    scope: scopes[scope] ?? "unknown",
  };
}
