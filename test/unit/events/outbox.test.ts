import { describe, expect, test } from "vitest";
import { silentLog } from "../../../src/base/log.js";
import { EventHistory } from "../../../src/events/history.js";
import { type CommitPort, Outbox } from "../../../src/events/outbox.js";
import { decodeEntry } from "../../../src/events/topics.js";
import type { Announcement, Commit } from "../../../src/task/ports.js";

const oom = (fact = 0n): Announcement => ({
  topic: "/tasks/oom",
  containerId: "c",
  event: { kind: "oom" },
  at: 5n,
  fact,
});
const commit = (rest: Partial<Commit>): Commit => ({
  key: "k",
  states: new Map(),
  announcements: [],
  factsThrough: 0n,
  finished: false,
  ...rest,
});

class CoreOnPaper implements CommitPort {
  readonly commits: Parameters<CommitPort["commit"]>[0][] = [];
  readonly deliveries: bigint[] = [];
  last = 0n;

  async commit(one: Parameters<CommitPort["commit"]>[0]): Promise<bigint> {
    this.commits.push(one);
    const first = this.last + 1n;
    this.last += BigInt(one.outbox.length);
    return first;
  }

  delivered(sequence: bigint): void {
    this.deliveries.push(sequence);
  }
}

function open() {
  const core = new CoreOnPaper();
  const history = new EventHistory({ capacity: 10 });
  const numbered: [bigint, bigint][] = [];
  const outbox = new Outbox({
    core,
    namespace: "n",
    history,
    log: silentLog,
    publisher: undefined,
    numbered: ({ fact, sequence }) => numbered.push([fact, sequence]),
  });
  return { core, history, numbered, outbox };
}

describe("the outbox", () => {
  test("commits state, events and reply together; events are there once that is on disk", async () => {
    const { core, history, numbered, outbox } = open();
    const states = new Map([
      ["c", { a: 1 }],
      ["gone", null],
    ]);
    const done = outbox.commit(
      commit({ states, announcements: [oom(7n), oom()], factsThrough: 7n, reply: Buffer.from("r"), finished: true }),
    );
    expect(history.after(0n, 10)).toEqual([]);
    await done;
    expect(core.commits).toHaveLength(1);
    expect(core.commits[0]).toMatchObject({ key: "k", factsThrough: 7n, finished: true, reply: Buffer.from("r") });
    expect(core.commits[0]?.states).toEqual([
      { container: "c", blob: Buffer.from('{"a":1}') },
      { container: "gone", blob: null },
    ]);
    const [first] = core.commits[0]?.outbox ?? [];
    expect(decodeEntry(1n, 7n, first?.entry ?? Buffer.alloc(0))).toEqual({
      sequence: 1n,
      fact: 7n,
      at: 5n,
      namespace: "n",
      topic: "/tasks/oom",
      containerId: "c",
      typeUrl: "containerd.events.TaskOOM",
      value: Uint8Array.from([0x0a, 1, 0x63]),
    });
    expect(history.after(0n, 10).map(({ sequence }) => sequence)).toEqual([1n, 2n]);
    expect(numbered).toEqual([
      [7n, 1n],
      [0n, 2n],
    ]);
    expect(outbox.depth).toBe(0);
  });

  test("without containerd the core keeps as many events as readers can ask for, until the shim ends", async () => {
    const { core, history, outbox } = open();
    for (let i = 0; i < 12; i++) await outbox.commit(commit({ announcements: [oom()] }));
    expect(core.deliveries).toEqual([1n, 2n]);
    expect(history.after(0n, 20).map(({ sequence }) => sequence)[0]).toBe(3n);
    outbox.settle();
    expect(core.deliveries.at(-1)).toBe(12n);
  });

  test("goes on with what an earlier daemon left", async () => {
    const { core, history, outbox } = open();
    core.last = 41n;
    await outbox.commit(commit({ announcements: [oom()] }));
    const entry = core.commits[0]?.outbox[0]?.entry ?? Buffer.alloc(0);
    const again = open();
    again.outbox.restore(41n, 3n, entry);
    expect(again.history.after(0n, 10)).toMatchObject([{ sequence: 41n, fact: 3n, topic: "/tasks/oom" }]);
    expect(history.last).toBe(42n);
    expect(again.history.droppedThrough).toBe(40n);
  });

  test("beyond what the core keeps, state goes on and events are lost", async () => {
    const core = new CoreOnPaper();
    const waiting: bigint[] = [];
    const outbox = new Outbox({
      core,
      namespace: "n",
      history: new EventHistory({ capacity: 10 }),
      log: silentLog,
      publisher: { push: ({ sequence }: { sequence: bigint }) => waiting.push(sequence) } as never,
      numbered: () => undefined,
    });
    const many = Array.from({ length: 65_000 }, () => oom());
    await outbox.commit(commit({ announcements: many }));
    expect(outbox.depth).toBe(65_000);
    await outbox.commit(commit({ announcements: [oom()], factsThrough: 9n }));
    expect(core.commits[1]).toMatchObject({ outbox: [], factsThrough: 9n });
    outbox.delivered(100n);
    expect(outbox.depth).toBe(64_900);
    await outbox.commit(commit({ announcements: [oom()] }));
    expect(core.commits[2]?.outbox).toHaveLength(1);
    expect(waiting).toHaveLength(65_001);
  });
});

describe("kept events", () => {
  const event = (sequence: bigint) => ({ ...decodeEntry(sequence, 0n, Buffer.alloc(0)) });

  test("the oldest are dropped, and readers can tell", () => {
    const history = new EventHistory({ capacity: 3 });
    expect(history.droppedThrough).toBe(0n);
    for (const sequence of [1n, 2n, 3n]) history.push(event(sequence));
    expect(history.droppedThrough).toBe(0n);
    for (const sequence of [4n, 7n]) history.push(event(sequence));
    expect(history.droppedThrough).toBe(2n);
    expect(history.after(3n, 10).map(({ sequence }) => sequence)).toEqual([4n, 7n]);
    expect(history.after(5n, 10).map(({ sequence }) => sequence)).toEqual([7n]);
    expect(history.after(0n, 1).map(({ sequence }) => sequence)).toEqual([3n]);
    expect(history.after(7n, 10)).toEqual([]);
  });

  test("grown ends with the event it waits for, or with its signal", async () => {
    const history = new EventHistory({ capacity: 3 });
    history.push(event(5n));
    await history.grown(4n, new AbortController().signal);
    const waiting = history.grown(6n, new AbortController().signal);
    history.push(event(6n));
    let done = false;
    void waiting.then(() => {
      done = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    history.push(event(7n));
    await waiting;
    const abort = new AbortController();
    const aborted = history.grown(7n, abort.signal);
    abort.abort();
    await aborted;
  });
});
