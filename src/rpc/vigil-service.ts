import { VigilError } from "../base/errors.js";
import { Status } from "../gen/containerd/types/task/task.js";
import type { Timestamp } from "../gen/google/protobuf/timestamp.js";
import {
  type Container,
  ContainersResponse,
  Event,
  type EventsRequest,
  InfoResponse,
  type OomReport,
  OomReportsResponse,
  VigilDefinition,
} from "../gen/vigil/v1/vigil.js";
import type { StdioSpec } from "../task/ports.js";
import { type Method, question, stream } from "./method.js";

/** vigil.v1.Vigil: reads, converts and never decides. What it reads from is below; times are nanoseconds since 1970. */

export interface KeptEvent {
  readonly sequence: bigint;
  readonly at: bigint;
  readonly namespace: string;
  readonly topic: string;
  readonly containerId: string;
  /** As containerd gets it: bare full message name, and the encoded message. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** The outbox with its memory. */
export interface EventHistory {
  /** The highest sequence that is no longer kept; 0n while all are. */
  readonly droppedThrough: bigint;
  /** Kept events with a higher sequence, lowest first, at most `limit`. */
  after(sequence: bigint, limit: number): readonly KeptEvent[];
  /** Resolves once an event with a higher sequence exists, or the signal is aborted. */
  grown(sequence: bigint, signal: AbortSignal): Promise<void>;
}

export type LifeState = keyof typeof statuses;

export interface ExecView {
  readonly execId: string;
  readonly pid: number;
  readonly state: LifeState;
  readonly exitStatus: number;
}

export interface ContainerView {
  readonly id: string;
  readonly bundle: string;
  readonly stdio: StdioSpec;
  readonly pid: number;
  readonly state: LifeState;
  readonly createdAt: bigint;
  /** 0n: not yet; so for `exitedAt`. */
  readonly startedAt: bigint;
  readonly exitedAt: bigint;
  readonly exitStatus: number;
  readonly oomKills: bigint;
  /** 0n: no limit. */
  readonly memoryLimit: bigint;
  readonly annotations: Readonly<Record<string, string>>;
  readonly execs: readonly ExecView[];
}

export interface VigilSources {
  readonly namespace: string;
  readonly events: EventHistory;
  /** In the order of their creation. */
  containers(): readonly ContainerView[];
  /** Oldest first; of all containers when the id is empty. */
  oomReports(containerId: string): Promise<readonly OomReport[]>;
  info(): Partial<InfoResponse>;
}

const batch = 64;

const statuses = {
  created: Status.CREATED,
  running: Status.RUNNING,
  pausing: Status.PAUSING,
  paused: Status.PAUSED,
  stopped: Status.STOPPED,
  deleted: Status.STOPPED,
} as const;

export function vigilService(sources: VigilSources): ReadonlyMap<string, Method> {
  const { containers, events, info, oomReports } = VigilDefinition.methods;
  return new Map([
    stream(events, (request, signal) => eventsSince(sources.events, request, signal)),
    question(containers, () =>
      ContainersResponse.fromPartial({
        containers: sources.containers().map((view) => containerMessage(sources.namespace, view)),
      }),
    ),
    question(oomReports, async ({ containerId }) =>
      OomReportsResponse.create({ reports: [...(await sources.oomReports(containerId))] }),
    ),
    question(info, () => InfoResponse.fromPartial({ namespace: sources.namespace, ...sources.info() })),
  ]);
}

/**
 * The reader pulls, so that a slow one costs no memory: it reads on from the kept events, and one that fell behind what is
 * kept is told so, as one who comes too late is.
 */
async function* eventsSince(
  history: EventHistory,
  request: EventsRequest,
  signal: AbortSignal,
): AsyncGenerator<Event, void, void> {
  const passes = filterOf(request);
  let last = request.afterSequence === 0n ? history.droppedThrough : request.afterSequence;
  while (!signal.aborted) {
    if (last < history.droppedThrough) {
      const oldest = history.droppedThrough + 1n;
      throw new VigilError("out_of_range", `events after ${last} are no longer kept; the oldest kept is ${oldest}`);
    }
    const events = history.after(last, batch);
    for (const event of events) {
      last = event.sequence;
      if (passes(event)) yield eventMessage(event);
    }
    if (events.length > 0) continue;
    if (!request.follow) return;
    await history.grown(last, signal);
  }
}

function filterOf({ containers, topics, namespaces }: EventsRequest): (event: KeptEvent) => boolean {
  const topicMatches = (topic: string) => (pattern: string) =>
    pattern.endsWith("/") ? topic.startsWith(pattern) : topic === pattern;
  return (event) =>
    (containers.length === 0 || containers.includes(event.containerId)) &&
    (topics.length === 0 || topics.some(topicMatches(event.topic))) &&
    (namespaces.length === 0 || namespaces.includes(event.namespace));
}

function eventMessage({ at, typeUrl, value, ...event }: KeptEvent): Event {
  return Event.create({ ...event, timestamp: timestamp(at), event: { typeUrl, value } });
}

function containerMessage(namespace: string, view: ContainerView): Partial<Container> {
  const { stdio, state, createdAt, startedAt, exitedAt, execs, annotations, ...same } = view;
  return {
    ...same,
    ...stdio,
    namespace,
    status: statuses[state],
    createdAt: timestamp(createdAt),
    startedAt: timestamp(startedAt),
    exitedAt: timestamp(exitedAt),
    annotations: { ...annotations },
    execs: execs.map((exec) => ({
      execId: exec.execId,
      pid: exec.pid,
      status: statuses[exec.state],
      exitStatus: exec.exitStatus,
    })),
  };
}

function timestamp(at: bigint): Timestamp | undefined {
  if (at === 0n) return undefined;
  return { seconds: at / 1_000_000_000n, nanos: Number(at % 1_000_000_000n) };
}
