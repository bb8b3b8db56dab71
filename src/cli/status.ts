import { Status } from "../gen/containerd/types/task/task.js";
import type { Container } from "../gen/vigil/v1/vigil.js";
import { formatAge } from "./quantities.js";
import { milliseconds } from "./times.js";

const names = {
  [Status.UNKNOWN]: "unknown",
  [Status.CREATED]: "created",
  [Status.RUNNING]: "running",
  [Status.STOPPED]: "stopped",
  [Status.PAUSED]: "paused",
  [Status.PAUSING]: "pausing",
} as const satisfies Record<Status, string>;

export type StatusName = (typeof names)[Status];

export function statusName(status: Status): StatusName {
  return names[status] ?? "unknown";
}

/** `running 5m 2s`, `exited (137) 3s ago`. */
export function describeStatus(container: Container, now: number): string {
  const name = statusName(container.status);
  const since = name === "stopped" ? container.exitedAt : (container.startedAt ?? container.createdAt);
  const at = milliseconds(since);
  const age = at === undefined ? "" : formatAge(now - at);
  if (name === "stopped") return `exited (${container.exitStatus})${age && ` ${age} ago`}`;
  return age ? `${name} ${age}` : name;
}
