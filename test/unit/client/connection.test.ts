import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { VigilError } from "../../../src/base/errors.js";
import { connectShim, type Shim } from "../../../src/client/shim.js";
import { type KillRequest, TaskDefinition } from "../../../src/gen/containerd/task/v3/shim.js";
import { Event, type EventsRequest, VigilDefinition } from "../../../src/gen/vigil/v1/vigil.js";
import { type Call, type Handlers, WireServer } from "./wire-server.js";

let directory: string;
let server: WireServer | undefined;
let shim: Shim;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "vigil-client-"));
});

afterEach(async () => {
  shim?.close();
  await server?.close();
  server = undefined;
  await rm(directory, { recursive: true });
});

async function serve(task: Handlers, vigil: Handlers = {}): Promise<WireServer> {
  const path = join(directory, "socket");
  server = await WireServer.listen(path, [
    [TaskDefinition as never, task],
    [VigilDefinition as never, vigil],
  ]);
  shim = connectShim(path);
  return server;
}

const killRequest: KillRequest = { id: "c", execId: "", signal: 15, all: false };

test("a change that loses its connection is repeated with the same id", async () => {
  const ids: (string | undefined)[] = [];
  const wire = await serve({
    kill: (_: KillRequest, { requestId }: Call) => {
      ids.push(requestId);
      if (ids.length === 3) return undefined;
      wire.killDaemon();
      wire.startDaemon();
      return new Promise(() => undefined);
    },
  });
  await shim.task.kill(killRequest);
  expect(ids).toHaveLength(3);
  expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
  expect(new Set(ids).size).toBe(1);
});

test("two changes have different ids, and a question none", async () => {
  const ids: (string | undefined)[] = [];
  const note = (_: unknown, { requestId }: Call) => void ids.push(requestId);
  await serve({
    kill: note,
    pids: (request: unknown, call: Call) => {
      note(request, call);
      return { processes: [] };
    },
  });
  await shim.task.kill(killRequest);
  await shim.task.kill(killRequest);
  await shim.task.pids({ id: "c" });
  expect(ids[0]).not.toBe(ids[1]);
  expect(ids[2]).toBeUndefined();
});

test("a call made while no daemon is there waits for the next one", async () => {
  let answered = 0;
  const wire = await serve({ kill: () => void answered++ });
  wire.killDaemon();
  const call = shim.task.kill(killRequest);
  setTimeout(() => wire.startDaemon(), 200);
  await call;
  expect(answered).toBe(1);
});

test("wait outlives daemons", async () => {
  let asked = 0;
  const wire = await serve({
    wait: () => {
      asked++;
      return asked < 3 ? new Promise(() => undefined) : { exitStatus: 7, exitedAt: undefined };
    },
  });
  const waiting = shim.task.wait({ id: "c", execId: "" });
  for (let round = 1; round < 3; round++) {
    await expect.poll(() => asked).toBe(round);
    wire.killDaemon();
    wire.startDaemon();
  }
  expect((await waiting).exitStatus).toBe(7);
});

test("an answer that says no is not repeated", async () => {
  let asked = 0;
  await serve({
    kill: () => {
      asked++;
      throw new VigilError("not_found", "process already finished");
    },
  });
  const failure = await shim.task.kill(killRequest).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "not_found", message: "process already finished" });
  expect(asked).toBe(1);
});

test("when nobody listens any more the call ends at once", async () => {
  const wire = await serve({ wait: () => new Promise(() => undefined) });
  const waiting = shim.task.wait({ id: "c", execId: "" }).catch((error: unknown) => error);
  await shim.task.connect({ id: "c" }).catch(() => undefined);
  await wire.close();
  const failure = await waiting;
  expect(failure).toMatchObject({ code: "unavailable" });
  expect((failure as Error).message).toContain("the shim is gone");
});

test("a time limit holds over all attempts", async () => {
  await serve({ state: () => new Promise(() => undefined) });
  const failure = await shim.task.state({ id: "c", execId: "" }, { timeoutMs: 100 }).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: "deadline_exceeded" });
});

test("an aborted call ends", async () => {
  await serve({ wait: () => new Promise(() => undefined) });
  const abort = new AbortController();
  const waiting = shim.task.wait({ id: "c", execId: "" }, { signal: abort.signal });
  setTimeout(() => abort.abort(), 50);
  await expect(waiting).rejects.toMatchObject({ code: "cancelled" });
});

/** Ten events, with the daemon dying after every third it has sent. */
function dyingEvents(asked: bigint[], die: () => void): Handlers {
  return {
    events: async function* ({ afterSequence, follow }: EventsRequest) {
      asked.push(afterSequence);
      for (let sequence = afterSequence + 1n; sequence <= 10n; sequence++) {
        if (sequence > afterSequence + 3n) {
          die();
          await new Promise(() => undefined);
        }
        yield Event.fromPartial({ sequence, topic: "/tasks/oom", containerId: "c" });
        // Lets the event leave before the connection goes.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      if (follow) await new Promise(() => undefined);
    } as never,
  };
}

test("events go on after the last one seen, each once", async () => {
  const asked: bigint[] = [];
  const wire = await serve(
    {},
    dyingEvents(asked, () => {
      wire.killDaemon();
      wire.startDaemon();
    }),
  );
  const seen: bigint[] = [];
  for await (const event of shim.vigil.events()) seen.push(event.sequence);
  expect(seen).toEqual([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n]);
  expect(asked).toEqual([0n, 3n, 6n, 9n]);
});

test("a followed stream ends with the shim, and with its reader", async () => {
  const wire = await serve(
    {},
    dyingEvents([], () => undefined),
  );
  const seen: bigint[] = [];
  const reading = (async () => {
    for await (const event of shim.vigil.events({ follow: true, afterSequence: 8n })) seen.push(event.sequence);
  })();
  await expect.poll(() => seen).toEqual([9n, 10n]);
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 50);
  for await (const _ of shim.vigil.events({ follow: true, afterSequence: 10n, signal: abort.signal })) seen.push(0n);
  await wire.close();
  await reading;
  expect(seen).toEqual([9n, 10n]);
});

test("events that are no longer kept are an error for the reader", async () => {
  await serve(
    {},
    {
      // biome-ignore lint/correctness/useYield: it fails before the first
      events: async function* () {
        throw new VigilError("out_of_range", "the oldest kept is 5");
      } as never,
    },
  );
  const read = async () => {
    for await (const event of shim.vigil.events({ afterSequence: 1n })) expect(event).toBeUndefined();
  };
  await expect(read()).rejects.toMatchObject({ code: "out_of_range" });
});
