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
import { ForwardRequest } from "../gen/containerd/services/events/ttrpc/v1/events.js";
import type { Any } from "../gen/google/protobuf/any.js";
import type { Timestamp } from "../gen/google/protobuf/timestamp.js";
import type { Announcement, TaskEvent } from "../task/ports.js";

/** Announcements as containerd's messages, and back into what readers of the kept events look at. */

const secondNs = 1_000_000_000n;
const timestamp = (at: bigint): Timestamp => ({ seconds: at / secondNs, nanos: Number(at % secondNs) });
const nanoseconds = (time: Timestamp | undefined): bigint => (time ? time.seconds * secondNs + BigInt(time.nanos) : 0n);

// An Any names its message bare, without a prefix: code that compares the names refuses anything else (typeurl.Is).
function any<T>(codec: { $type: string; encode(message: T): { finish(): Uint8Array } }, message: T): Any {
  return { typeUrl: codec.$type, value: codec.encode(message).finish() };
}

function encodeEvent(containerId: string, event: TaskEvent): Any {
  switch (event.kind) {
    case "create": {
      const rootfs = event.rootfs.map((mount) => ({ ...mount, options: [...mount.options] }));
      const { bundle, stdio, checkpoint, pid } = event;
      return any(TaskCreate, { containerId, bundle, rootfs, io: { ...stdio }, checkpoint, pid });
    }
    case "start":
      return any(TaskStart, { containerId, pid: event.pid });
    case "exec-added":
      return any(TaskExecAdded, { containerId, execId: event.execId });
    case "exec-started":
      return any(TaskExecStarted, { containerId, execId: event.execId, pid: event.pid });
    case "exit": {
      const { id, pid, exitStatus, exitedAt } = event;
      return any(TaskExit, { containerId, id, pid, exitStatus, exitedAt: timestamp(exitedAt) });
    }
    case "delete": {
      const { pid, exitStatus, exitedAt } = event;
      const when = exitedAt === 0n ? undefined : timestamp(exitedAt);
      return any(TaskDelete, { containerId, pid, exitStatus, exitedAt: when, id: "" });
    }
    case "paused":
      return any(TaskPaused, { containerId });
    case "resumed":
      return any(TaskResumed, { containerId });
    case "checkpointed":
      return any(TaskCheckpointed, { containerId, checkpoint: event.checkpoint });
    case "oom":
      return any(TaskOOM, { containerId });
  }
}

/** An outbox entry: a serialized ForwardRequest, so that who publishes it needs no knowledge of events. */
export function encodeEntry(namespace: string, announcement: Announcement): Uint8Array {
  const { at, topic, containerId, event } = announcement;
  const envelope = { timestamp: timestamp(at), namespace, topic, event: encodeEvent(containerId, event) };
  return ForwardRequest.encode({ envelope }).finish();
}

/** An entry with its number, as it is kept for readers. */
export interface KeptEvent {
  /** Rises from event to event of a shim, over restarts of its daemon too. */
  readonly sequence: bigint;
  /** The fact behind it; 0n when a request is. */
  readonly fact: bigint;
  readonly at: bigint;
  readonly namespace: string;
  readonly topic: string;
  readonly containerId: string;
  /** Bare full message name, and the encoded message. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

export function decodeEntry(sequence: bigint, fact: bigint, entry: Uint8Array): KeptEvent {
  const { envelope } = ForwardRequest.decode(entry);
  const value = envelope?.event?.value ?? new Uint8Array(0);
  return {
    sequence,
    fact,
    at: nanoseconds(envelope?.timestamp),
    namespace: envelope?.namespace ?? "",
    topic: envelope?.topic ?? "",
    // Every message of containerd.events about tasks has container_id as field 1, as TaskOOM does.
    containerId: TaskOOM.decode(value).containerId,
    typeUrl: envelope?.event?.typeUrl ?? "",
    value,
  };
}

type Fields = Readonly<Record<string, unknown>>;

const eventCodecs: Readonly<Record<string, { decode(value: Uint8Array): unknown }>> = {
  [TaskCreate.$type]: TaskCreate,
  [TaskStart.$type]: TaskStart,
  [TaskDelete.$type]: TaskDelete,
  [TaskExit.$type]: TaskExit,
  [TaskOOM.$type]: TaskOOM,
  [TaskExecAdded.$type]: TaskExecAdded,
  [TaskExecStarted.$type]: TaskExecStarted,
  [TaskPaused.$type]: TaskPaused,
  [TaskResumed.$type]: TaskResumed,
  [TaskCheckpointed.$type]: TaskCheckpointed,
};

/** A field as containerd's filters name it: `topic`, `namespace`, or a string field of the event in snake_case. */
export function eventField(
  event: Pick<KeptEvent, "topic" | "namespace" | "typeUrl" | "value">,
  path: readonly string[],
): string | undefined {
  const [first, second, ...more] = path;
  if (path.length === 1) return first === "topic" ? event.topic : first === "namespace" ? event.namespace : undefined;
  if (first !== "event" || second === undefined || more.length > 0) return undefined;
  const fields = eventCodecs[event.typeUrl]?.decode(event.value) as Fields | undefined;
  const value = fields?.[second.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())];
  return typeof value === "string" ? value : undefined;
}
