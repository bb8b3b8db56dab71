import { expect, test } from "vitest";
import { EventHistory } from "../../../src/events/history.js";
import {
  ContainersResponse,
  Event,
  EventsRequest,
  OomReport,
  OomReportsRequest,
  OomReportsResponse,
} from "../../../src/gen/vigil/v1/vigil.js";
import type { Method } from "../../../src/rpc/method.js";
import { type ContainerView, type KeptEvent, type VigilSources, vigilService } from "../../../src/rpc/vigil-service.js";

interface History {
  readonly source: EventHistory;
  push(sequence: bigint, topic: string, containerId?: string): void;
}

function history(capacity: number): History {
  const source = new EventHistory({ capacity });
  const push = (sequence: bigint, topic: string, containerId = "a") => {
    const event: KeptEvent = {
      sequence,
      at: 1_500_000_000n * 1_000_000_000n + sequence,
      namespace: "vigil",
      topic,
      containerId,
      typeUrl: "containerd.events.TaskOOM",
      value: Buffer.from([1, 2]),
    };
    source.push(event as never);
  };
  return { source, push };
}

function service(events: EventHistory, more: Partial<VigilSources> = {}): ReadonlyMap<string, Method> {
  return vigilService({
    namespace: "vigil",
    events: events as never,
    containers: () => [],
    oomReports: async () => [],
    info: () => ({}),
    ...more,
  });
}

async function* eventStream(events: EventHistory, request: Partial<EventsRequest>, signal: AbortSignal) {
  const method = service(events).get("Events");
  if (method?.kind !== "stream") throw new Error("Events is not a stream");
  const payload = EventsRequest.encode(EventsRequest.fromPartial(request)).finish();
  for await (const bytes of method.run(payload, signal)) yield Event.decode(bytes);
}

async function sequences(events: EventHistory, request: Partial<EventsRequest> = {}): Promise<bigint[]> {
  const seen: bigint[] = [];
  for await (const { sequence } of eventStream(events, request, new AbortController().signal)) seen.push(sequence);
  return seen;
}

test("events are all kept ones, or those after a sequence", async () => {
  const { source, push } = history(1000);
  for (let sequence = 1n; sequence <= 200n; sequence++) push(sequence, "/tasks/start");
  expect(await sequences(source)).toHaveLength(200);
  expect(await sequences(source, { afterSequence: 198n })).toEqual([199n, 200n]);
  expect(await sequences(source, { afterSequence: 500n })).toEqual([]);
});

test("filters choose by container, topic, subtree and namespace", async () => {
  const { source, push } = history(10);
  push(1n, "/tasks/start", "a");
  push(2n, "/tasks/oom", "b");
  push(3n, "/images/create", "a");
  expect(await sequences(source, { containers: ["b", "c"] })).toEqual([2n]);
  expect(await sequences(source, { topics: ["/tasks/oom"] })).toEqual([2n]);
  expect(await sequences(source, { topics: ["/tasks/"] })).toEqual([1n, 2n]);
  expect(await sequences(source, { topics: ["/tasks"] })).toEqual([]);
  expect(await sequences(source, { namespaces: ["other"] })).toEqual([]);
  expect(await sequences(source, { containers: ["a"], topics: ["/images/create", "/tasks/oom"] })).toEqual([3n]);
});

test("a reader that comes too late is told, one without a place in mind begins with the oldest", async () => {
  const { source, push } = history(3);
  for (let sequence = 1n; sequence <= 10n; sequence++) push(sequence, "/tasks/oom");
  await expect(sequences(source, { afterSequence: 5n })).rejects.toMatchObject({
    code: "out_of_range",
    message: expect.stringContaining("oldest kept is 8"),
  });
  expect(await sequences(source)).toEqual([8n, 9n, 10n]);
  expect(await sequences(source, { afterSequence: 7n })).toEqual([8n, 9n, 10n]);
});

test("following gets what comes, each once and in order, until it is aborted", async () => {
  const { source, push } = history(100);
  push(1n, "/tasks/start");
  const abort = new AbortController();
  const seen: Event[] = [];
  const reading = (async () => {
    for await (const event of eventStream(source, { follow: true, topics: ["/tasks/oom"] }, abort.signal)) {
      seen.push(event);
    }
  })();
  for (let sequence = 2n; sequence <= 5n; sequence++) {
    push(sequence, sequence % 2n === 0n ? "/tasks/oom" : "/tasks/exit");
    await new Promise(setImmediate);
  }
  await expect.poll(() => seen.map(({ sequence }) => sequence)).toEqual([2n, 4n]);
  abort.abort();
  await reading;
  expect(seen[0]).toEqual({
    sequence: 2n,
    timestamp: { seconds: 1_500_000_000n, nanos: 2 },
    namespace: "vigil",
    topic: "/tasks/oom",
    containerId: "a",
    event: { typeUrl: "containerd.events.TaskOOM", value: expect.objectContaining({ length: 2 }) },
  });
});

test("a follower that falls behind what is kept is told", async () => {
  const { source, push } = history(2);
  push(1n, "/tasks/oom");
  const stream = eventStream(source, { follow: true }, new AbortController().signal)[Symbol.asyncIterator]();
  expect((await stream.next()).value?.sequence).toBe(1n);
  for (let sequence = 2n; sequence <= 9n; sequence++) push(sequence, "/tasks/oom");
  await expect(stream.next()).rejects.toMatchObject({ code: "out_of_range" });
});

async function ask(method: Method | undefined, payload: Uint8Array): Promise<Uint8Array> {
  if (method?.kind !== "question") throw new Error("not a question");
  return method.run(payload);
}

const view: ContainerView = {
  id: "a",
  bundle: "/b",
  stdio: { stdin: "", stdout: "/o", stderr: "/e", terminal: false },
  pid: 7,
  state: "paused",
  createdAt: 1_000_000_001n,
  startedAt: 0n,
  exitedAt: 0n,
  exitStatus: 0,
  oomKills: 2n,
  memoryLimit: 64n,
  annotations: { k: "v" },
  execs: [{ execId: "e", pid: 9, state: "stopped", exitStatus: 137 }],
};

test("containers are told with unset times where nothing happened yet", async () => {
  const { source } = history(1);
  const methods = service(source, { containers: () => [view] });
  const { containers } = ContainersResponse.decode(await ask(methods.get("Containers"), new Uint8Array()));
  expect(containers).toEqual([
    {
      id: "a",
      namespace: "vigil",
      bundle: "/b",
      pid: 7,
      status: 4,
      createdAt: { seconds: 1n, nanos: 1 },
      startedAt: undefined,
      exitedAt: undefined,
      exitStatus: 0,
      oomKills: 2n,
      execs: [{ execId: "e", pid: 9, status: 3, exitStatus: 137 }],
      memoryLimit: 64n,
      annotations: { k: "v" },
      stdin: "",
      stdout: "/o",
      stderr: "/e",
      terminal: false,
    },
  ]);
});

test("reports are asked for by container", async () => {
  const { source } = history(1);
  const oomReports = async (containerId: string) => [OomReport.fromPartial({ id: `report of ${containerId}` })];
  const methods = service(source, { oomReports });
  const payload = OomReportsRequest.encode({ containerId: "a" }).finish();
  const { reports } = OomReportsResponse.decode(await ask(methods.get("OomReports"), payload));
  expect(reports.map(({ id }) => id)).toEqual(["report of a"]);
});
