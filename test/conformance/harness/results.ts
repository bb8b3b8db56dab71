// Runs all tests against one runtime.
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Bed, mountsBelow } from "./bed.js";
import { cgroupsWith, removeCgroups } from "./host.js";
import type { Rootfs } from "./rootfs.js";
import type { Runtime } from "./runtime.js";
import { Skipped, type Test } from "./test.js";

export type Verdict = "pass" | "fail" | "skip";

export interface Outcome {
  readonly verdict: Verdict;
  /** Of a failure or a skip. */
  readonly why?: string;
  readonly ms: number;
}

export interface Run {
  readonly runtime: Runtime;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** The last test of every run; main.ts counts it among the others. */
export const leftoverTest = "runtime.md#delete: no process, mount or cgroup is left behind by all these tests";

export interface RunOptions {
  readonly folder: string;
  readonly rootfs: Rootfs;
  readonly jobs: number;
  readonly progress: (text: string) => void;
  /** No further test begins once this is aborted; those that run are finished and cleaned up. */
  readonly stop: AbortSignal;
}

function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "AssertionError" || error instanceof AggregateError ? error.message : `${error.message}`;
}

async function runOne(test: Test, bed: Bed): Promise<Outcome> {
  const begin = performance.now();
  let outcome: Omit<Outcome, "ms"> = { verdict: "pass" };
  try {
    await test.run(bed);
  } catch (error) {
    outcome = { verdict: error instanceof Skipped ? "skip" : "fail", why: words(error) };
  }
  try {
    await bed.close();
  } catch (error) {
    outcome = { verdict: "fail", why: [outcome.why, words(error)].filter((why) => why !== undefined).join("\n") };
  }
  return { ...outcome, ms: performance.now() - begin };
}

export async function runAll(tests: readonly Test[], runtime: Runtime, options: RunOptions): Promise<Run> {
  const group = `vigil-conformance-${process.pid}`;
  const outcomes = new Map<string, Outcome>();
  mkdirSync(options.folder, { recursive: true });
  let next = 0;
  const worker = async () => {
    while (!options.stop.aborted) {
      const number = next++;
      const test = tests[number];
      if (test === undefined) return;
      const folder = join(options.folder, `${number}`);
      const name = `${group}-${number}`;
      const outcome = await runOne(test, new Bed({ runtime, rootfs: options.rootfs, folder, group, name }));
      outcomes.set(test.name, outcome);
      options.progress(`${runtime.title} ${outcome.verdict} ${Math.round(outcome.ms)} ms ${test.name}`);
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, worker));
  outcomes.set(leftoverTest, await leftover(group, options.folder));
  return { runtime, outcomes };
}

async function leftover(group: string, folder: string): Promise<Outcome> {
  const begin = performance.now();
  const found = [...processesOf(group, folder), ...mountsBelow(folder).map((path) => `mount ${path}`)];
  // The cgroup above the containers' is not any one container's.
  await removeCgroups(`/${group}`);
  found.push(...(await cgroupsWith(`/${group}`)).map((path) => `cgroup ${path}`));
  const ms = performance.now() - begin;
  return found.length === 0 ? { verdict: "pass", ms } : { verdict: "fail", why: found.join("\n"), ms };
}

function processesOf(group: string, folder: string): string[] {
  const found: string[] = [];
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      const place = readFileSync(`/proc/${pid}/cgroup`, "utf8");
      // A zombie is its parent's, which here may be anybody's.
      if (command !== "" && (command.includes(folder) || place.includes(`/${group}`))) {
        found.push(`process ${pid} ${command}`);
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOENT" && code !== "ESRCH") throw error;
    }
  }
  return found;
}
