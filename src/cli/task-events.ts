import {
  TaskCheckpointed,
  TaskCreate,
  TaskDelete,
  TaskExecAdded,
  TaskExecStarted,
  TaskExit,
  TaskOOM,
  TaskPaused,
  TaskResumed,
  TaskStart,
} from "../gen/containerd/events/task.js";
import type { Any } from "../gen/google/protobuf/any.js";
import { isoTime } from "./times.js";

interface Known<T> {
  readonly $type: string;
  decode(bytes: Uint8Array): T;
}

function known<T extends object>(type: Known<T>, words: (event: T) => string) {
  return {
    name: type.$type,
    plain: (bytes: Uint8Array): object => plainTimes(type.decode(bytes)),
    words: (bytes: Uint8Array) => words(type.decode(bytes)),
  };
}

const kinds = [
  known(TaskCreate, ({ pid }) => `pid ${pid}`),
  known(TaskStart, ({ pid }) => `pid ${pid}`),
  known(TaskDelete, ({ exitStatus }) => `had exited with ${exitStatus}`),
  known(TaskExit, ({ id, containerId, pid, exitStatus }) =>
    `${id === containerId ? "" : `exec ${id} `}pid ${pid} exited with ${exitStatus}`.trim(),
  ),
  known(TaskOOM, () => "ran out of memory; `vigil oom show` explains"),
  known(TaskExecAdded, ({ execId }) => `exec ${execId}`),
  known(TaskExecStarted, ({ execId, pid }) => `exec ${execId} pid ${pid}`),
  known(TaskPaused, () => ""),
  known(TaskResumed, () => ""),
  known(TaskCheckpointed, ({ checkpoint }) => checkpoint),
];

function kindOf(event: Any) {
  // Events of other senders may have the prefix that protobuf suggests for type URLs.
  const name = event.typeUrl.slice(event.typeUrl.lastIndexOf("/") + 1);
  return kinds.find((kind) => kind.name === name);
}

/** The event's own fields; what this version does not know stays encoded. */
export function decodeEvent(event: Any): object {
  const kind = kindOf(event);
  if (!kind) return { type: event.typeUrl, base64: Buffer.from(event.value).toString("base64") };
  return { type: kind.name, ...kind.plain(event.value) };
}

export function describeEvent(event: Any | undefined): string {
  return event ? (kindOf(event)?.words(event.value) ?? event.typeUrl) : "";
}

function plainTimes(event: object): object {
  if (!("exitedAt" in event)) return event;
  return { ...event, exitedAt: isoTime(event.exitedAt as Parameters<typeof isoTime>[0]) };
}
