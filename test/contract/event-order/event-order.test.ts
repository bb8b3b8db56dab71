// The promise about events (docs: create < start < everything else < init exit < delete; every OOM and every exec's exit before
// the init's exit; nothing lost, nothing twice), for any order of requests, deaths and crashes of the daemon.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { closeStdin, kill, pause, resume, update } from "../../../src/task/control.js";
import { addExec, deleteExec, startExec, startInit } from "../../../src/task/life.js";
import type { Announcement, CreateSpec } from "../../../src/task/ports.js";
import { SimCore } from "../../support/sim-core.js";

const containers = ["c1", "c2"] as const;
const execs = ["e1", "e2"] as const;
const stdio = { stdin: "", stdout: "", stderr: "", terminal: false };
const spec = (id: string): CreateSpec => ({
  id,
  bundle: "/b",
  rootfs: [],
  stdio,
  options: {} as CreateSpec["options"],
  checkpoint: "",
});

type Step =
  | {
      readonly do: "create" | "start" | "delete" | "kill" | "pause" | "resume" | "update" | "oom" | "end";
      readonly id: string;
    }
  | {
      readonly do: "exec" | "startExec" | "deleteExec" | "killExec" | "endExec" | "closeStdin";
      readonly id: string;
      readonly exec: string;
    }
  | { readonly do: "deliver"; readonly count: number }
  | { readonly do: "crash" | "progress" }
  | { readonly do: "failBirth"; readonly why: "oom" | "error" };

// Mostly one container and one exec: what goes wrong goes wrong between requests about the same.
const id = fc.constantFrom("c1", "c1", "c1", "c1", "c2");
const exec = fc.constantFrom("e1", "e1", "e1", "e2");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("create", "start", "delete", "kill", "pause", "resume", "update", "oom", "end", "end"),
      id,
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom("exec", "startExec", "startExec", "deleteExec", "killExec", "endExec", "closeStdin"),
      id,
      exec,
    }),
  },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("deliver"), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("crash", "progress") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("failBirth"), why: fc.constantFrom("oom", "error") }) },
) as fc.Arbitrary<Step>;

/** Most of the time there is a running container with an exec that begins, before everything goes its own way. */
const settle: readonly Step[] = [
  { do: "deliver", count: 9 },
  { do: "deliver", count: 9 },
];
const opening: readonly Step[] = [
  { do: "create", id: "c1" },
  ...settle,
  { do: "exec", id: "c1", exec: "e1" },
  { do: "start", id: "c1" },
  ...settle,
  { do: "startExec", id: "c1", exec: "e1" },
];

async function play(core: SimCore, one: Step): Promise<void> {
  switch (one.do) {
    case "create":
      core.request("create", (registry, call) => registry.create(one.id, async () => spec(one.id), call));
      break;
    case "start":
      core.request("start", (registry, call) => startInit(registry.world, registry.get(one.id), call));
      break;
    case "delete":
      core.request("delete", (registry, call) => registry.delete(registry.get(one.id), call));
      break;
    case "kill":
      core.request("kill", (registry, call) =>
        kill(registry.world, registry.get(one.id), { execId: "", signal: 15, all: false }, call),
      );
      break;
    case "pause":
      core.request("pause", (registry, call) => pause(registry.world, registry.get(one.id), call));
      break;
    case "resume":
      core.request("resume", (registry, call) => resume(registry.world, registry.get(one.id), call));
      break;
    case "update":
      core.request("update", (registry, call) => update(registry.world, registry.get(one.id), "{}", call));
      break;
    case "oom":
      core.oom(one.id);
      break;
    case "end":
      core.exit(one.id, "", 0);
      break;
    case "exec":
      core.request("exec", (registry, call) =>
        addExec(registry.world, registry.get(one.id), { execId: one.exec, stdio, process: "{}" }, call),
      );
      break;
    case "startExec":
      core.request("startExec", (registry, call) => startExec(registry.world, registry.get(one.id), one.exec, call));
      break;
    case "deleteExec":
      core.request("deleteExec", (registry, call) => deleteExec(registry.world, registry.get(one.id), one.exec, call));
      break;
    case "killExec":
      core.request("killExec", (registry, call) =>
        kill(registry.world, registry.get(one.id), { execId: one.exec, signal: 9, all: false }, call),
      );
      break;
    case "closeStdin":
      core.request("closeStdin", (registry, call) => closeStdin(registry.world, registry.get(one.id), one.exec, call));
      break;
    case "endExec":
      core.exit(one.id, one.exec, 7);
      break;
    case "deliver":
      await core.deliver(one.count);
      break;
    case "crash":
      core.crash();
      core.start();
      await core.deliver(0);
      break;
    case "progress":
      core.progress();
      break;
    case "failBirth":
      core.failNextBirth = one.why;
      break;
  }
}

/** Whatever is going on ends. */
async function finish(core: SimCore): Promise<void> {
  core.failNextBirth = undefined;
  await core.settle();
  for (const [container, processes] of core.processes) {
    for (const name of [...processes.keys()].reverse()) core.exit(container, name, 1);
  }
  await core.settle();
}

/** The events of one container, a list for each time its id was used. */
function lives(published: readonly Announcement[], container: string): Announcement[][] {
  const result: Announcement[][] = [];
  for (const one of published) {
    if (one.containerId !== container) continue;
    if (one.event.kind === "create") result.push([]);
    result.at(-1)?.push(one);
  }
  return result;
}

function checkLife(life: readonly Announcement[], container: string): void {
  const kinds = life.map(({ event }) => event.kind);
  const told = kinds.join(" ");
  expect(kinds[0], told).toBe("create");
  const at = (kind: string): number[] => kinds.flatMap((one, index) => (one === kind ? [index] : []));
  const initExit = life.findIndex(({ event }) => event.kind === "exit" && event.id === container);
  const exits = life.filter(({ event }) => event.kind === "exit" && event.id === container);
  expect(exits.length, told).toBeLessThanOrEqual(1);
  expect(at("start").length, told).toBeLessThanOrEqual(1);
  expect(at("delete").length, told).toBeLessThanOrEqual(1);
  // Nothing of a process comes behind the init's exit but the delete (Exec registered before it may still be told).
  if (initExit >= 0) {
    const behind = kinds.slice(initExit + 1).filter((kind) => kind !== "delete");
    expect(behind, told).toEqual([]);
  }
  const [deleted] = at("delete");
  if (deleted !== undefined) {
    expect(deleted, told).toBe(kinds.length - 1);
    expect(initExit, told).toBeGreaterThanOrEqual(0);
  }
  // Each exec: added, started, exited.
  for (const name of execs) {
    const own = life.flatMap(({ event }) => {
      if (event.kind === "exec-added" || event.kind === "exec-started")
        return event.execId === name ? [event.kind] : [];
      return event.kind === "exit" && event.id === name ? ["exit"] : [];
    });
    expect(own.join(" "), told).toMatch(/^((exec-added)( exec-started exit)? ?)*(exec-added( exec-started)?)?$/);
  }
  // Facts are announced in their order, but for the init's exit, which waits.
  const order = life.filter((one) => one.fact > 0n && one !== exits[0]).map(({ fact }) => fact);
  expect(order, told).toEqual([...order].sort((a, b) => Number(a - b)));
}

function check(core: SimCore): void {
  for (const container of containers) for (const life of lives(core.published, container)) checkLife(life, container);
  // Every fact is covered, and told exactly once if it has something to tell.
  expect(core.facts).toEqual([]);
  for (const fact of core.history) {
    const told = core.published.filter((one) => one.fact === fact.seq).length;
    const created = core.history.some(
      (one) => one.kind === "created" && one.container === fact.container && one.seq < fact.seq,
    );
    const silent = fact.kind === "exited" && !fact.started && fact.exec !== "";
    if (!created || silent) continue;
    const failedCreate = core.reports.some((one) => one.fact.seq === fact.seq && !one.announced);
    const unborn = fact.kind === "exited" && !fact.started && !lifeOf(core, fact.seq, fact.container);
    if (failedCreate || unborn) continue;
    expect(told, `${fact.kind} ${fact.seq} of ${fact.container}/${"exec" in fact ? fact.exec : ""}`).toBe(1);
  }
  // Every request has exactly one answer.
  for (const request of core.requests) expect(request.answers, request.name).toHaveLength(1);
}

/** The fact belongs to a container that was created, not to a birth that failed. */
function lifeOf(core: SimCore, seq: bigint, container: string): boolean {
  const created = core.history.findLast(
    (one) => one.kind === "created" && one.container === container && one.seq < seq,
  );
  const ended = core.history.some(
    (one) =>
      one.kind === "exited" &&
      one.exec === "" &&
      one.container === container &&
      one.seq > (created?.seq ?? seq) &&
      one.seq < seq,
  );
  return created !== undefined && !ended;
}

const runs = Number(process.env.VIGIL_PROPERTY_RUNS ?? 400);

describe("events", () => {
  test.each([
    ["with a pid namespace of its own", true],
    ["without", false],
  ])(
    "keep their order, %s",
    async (_, privatePids) => {
      await fc.assert(
        fc.asyncProperty(
          fc.oneof(
            { weight: 4, arbitrary: fc.constant([...opening]) },
            { weight: 1, arbitrary: fc.subarray([...opening]) },
          ),
          fc.array(step, { maxLength: 60, size: "max" }),
          async (before, steps) => {
            const core = new SimCore();
            core.privatePids = privatePids;
            core.start();
            for (const one of [...before, ...steps]) await play(core, one);
            await finish(core);
            check(core);
          },
        ),
        { numRuns: runs },
      );
    },
    120_000,
  );
});
