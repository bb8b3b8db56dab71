import { describe, expect, test } from "vitest";
import { VigilError } from "../../../src/base/errors.js";
import { silentLog } from "../../../src/base/log.js";
import type { Forwarder } from "../../../src/events/forwarder.js";
import { Publisher } from "../../../src/events/publisher.js";
import { gate } from "../../support/gate.js";
import { ManualClock } from "../../support/manual-clock.js";

/** A containerd that takes, refuses or keeps silent as it is told. */
class Receiver implements Forwarder {
  readonly taken: string[] = [];
  attempts = 0;
  mode: "take" | "away" | "reject" | "silent" = "take";
  readonly silence = gate();

  async forward(entry: Uint8Array): Promise<void> {
    this.attempts += 1;
    if (this.mode === "away") throw new VigilError("unavailable", "away");
    if (this.mode === "reject") throw new VigilError("invalid_argument", "no such topic");
    if (this.mode === "silent") await this.silence.opened;
    this.taken.push(Buffer.from(entry).toString());
  }

  close(): void {}
}

function open(capacity?: number) {
  const receiver = new Receiver();
  const clock = new ManualClock();
  const delivered: bigint[] = [];
  const publisher = new Publisher({
    forwarder: receiver,
    clock,
    log: silentLog,
    delivered: (sequence) => delivered.push(sequence),
    ...(capacity !== undefined && { capacity }),
  });
  const push = (sequence: bigint, topic = "/tasks/exit"): void =>
    publisher.push({ sequence, topic, bytes: Buffer.from(`${sequence} ${topic}`) });
  return { receiver, clock, delivered, publisher, push };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("the publisher", () => {
  test("gives one event after the other", async () => {
    const { receiver, delivered, push } = open();
    receiver.mode = "silent";
    push(1n);
    push(2n);
    await turn();
    expect(receiver.attempts).toBe(1);
    receiver.mode = "take";
    receiver.silence.open();
    await turn();
    expect(receiver.taken).toEqual(["1 /tasks/exit", "2 /tasks/exit"]);
    expect(delivered).toEqual([1n, 2n]);
  });

  test("keeps order and everything over a long outage, with longer and longer pauses", async () => {
    const { receiver, clock, delivered, publisher, push } = open();
    receiver.mode = "away";
    for (let sequence = 1n; sequence <= 50n; sequence += 1n) push(sequence);
    await turn();
    const pauses: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      const before = receiver.attempts;
      let waited = 0;
      while (receiver.attempts === before) {
        await clock.advance(50);
        waited += 50;
      }
      pauses.push(waited);
    }
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    expect(publisher.depth).toBe(50);
    receiver.mode = "take";
    await clock.advance(5000);
    expect(receiver.taken).toHaveLength(50);
    expect(delivered).toEqual([...delivered].sort((a, b) => Number(a - b)));
    expect(publisher.depth).toBe(0);
  });

  test("an event that is rejected holds nobody up", async () => {
    const { receiver, delivered, push } = open();
    receiver.mode = "reject";
    push(1n);
    await turn();
    receiver.mode = "take";
    push(2n);
    await turn();
    expect(receiver.taken).toEqual(["2 /tasks/exit"]);
    expect(delivered).toEqual([1n, 2n]);
  });

  test("beyond its bound drops what tells least, never an exit or an OOM", async () => {
    const { receiver, clock, publisher, push } = open(4);
    receiver.mode = "away";
    push(1n, "/tasks/paused");
    await turn();
    const topics = ["paused", "exit", "exec-started", "oom", "resumed", "oom", "exit", "oom"];
    for (const [index, topic] of topics.entries()) push(BigInt(index + 2), `/tasks/${topic}`);
    receiver.mode = "take";
    await clock.advance(50);
    // The first one was on its way.
    expect(receiver.taken).toEqual([
      "1 /tasks/paused",
      "3 /tasks/exit",
      "5 /tasks/oom",
      "7 /tasks/oom",
      "8 /tasks/exit",
      "9 /tasks/oom",
    ]);
    expect(publisher.depth).toBe(0);
  });

  test("drained tells when everything was taken, or that it was not in time", async () => {
    const { receiver, clock, publisher, push } = open();
    expect(await publisher.drained(1000)).toBe(true);
    receiver.mode = "away";
    push(1n);
    await turn();
    const late = publisher.drained(1000);
    await clock.advance(1000);
    expect(await late).toBe(false);
    receiver.mode = "take";
    const intime = publisher.drained(100_000);
    await clock.advance(5000);
    expect(await intime).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test("a closed one forwards nothing more", async () => {
    const { receiver, clock, publisher, push } = open();
    receiver.mode = "away";
    push(1n);
    await turn();
    publisher.close();
    receiver.mode = "take";
    await clock.advance(60_000);
    expect(receiver.taken).toEqual([]);
  });
});
