import { describe, expect, test } from "vitest";
import type { OomFact } from "../../../src/task/facts.js";
import { oomVerdict } from "../../../src/task/oom-verdict.js";

const root = "/sys/fs/cgroup";
const own = `${root}/pod/c1`;
const above = `${root}/pod`;

const events = (oom: number, oomKill: number, group = 0): string =>
  `low 0\nhigh 0\nmax 41\noom ${oom}\noom_kill ${oomKill}\noom_group_kill ${group}\n`;

interface Counters {
  /** local oom and hierarchical oom, oom_kill, of the container and of the pod above it, after the kill. */
  readonly ownLocalOom?: number;
  readonly ownOom?: number;
  readonly ownKill?: number;
  readonly aboveLocalOom?: number;
  readonly aboveKill?: number;
  readonly group?: number;
}

function v2(counters: Counters, rest: Partial<OomFact> = {}): OomFact {
  const {
    ownLocalOom = 0,
    ownOom = ownLocalOom,
    ownKill = 1,
    aboveLocalOom = 0,
    aboveKill = ownKill,
    group = 0,
  } = counters;
  return {
    kind: "oom",
    seq: 3n,
    container: "c1",
    at: 5n,
    kills: BigInt(ownKill),
    total: BigInt(ownKill),
    monotonic: 5n,
    held: [
      { path: `${own}/memory.events`, before: events(0, 0), after: events(ownOom, ownKill, group) },
      { path: `${own}/memory.events.local`, before: events(0, 0), after: events(ownLocalOom, ownKill) },
      {
        path: `${above}/memory.events`,
        before: events(9, 4),
        after: events(9 + ownOom + aboveLocalOom, 4 + aboveKill),
      },
      { path: `${above}/memory.events.local`, before: events(2, 0), after: events(2 + aboveLocalOom, 0) },
    ],
    snapshot: [
      { path: `${own}/memory.max`, text: "67108864\n" },
      { path: `${own}/memory.current`, text: "67100000\n" },
      { path: `${own}/memory.stat`, text: "anon 100\nfile 5\nnew_key 1\nodd\n" },
      { path: `${above}/memory.max`, text: "max\n" },
    ],
    lines: [],
    last: false,
    initPid: 100,
    execs: [{ exec: "e1", pid: 200 }],
    ...rest,
  };
}

const killed = (pid: number, why = "Memory cgroup out of memory"): string =>
  `3,1,2,-;${why}: Killed process ${pid} (name) total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:4kB oom_score_adj:0`;
const summary = (pid: number, limit: string, task: string): string =>
  `6,1,2,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,${limit},task_memcg=${task},task=name,pid=${pid},uid=0`;

describe("whose limit it was, on v2", () => {
  // Where `oom` and `oom_kill` are counted: mm/memcontrol.c; measured with limits on the container and on its parent.
  test.each([
    ["own limit", { ownLocalOom: 1 }, "own", "/pod/c1"],
    ["a limit inside the container", { ownLocalOom: 0, ownOom: 1 }, "own", ""],
    ["the pod's limit", { aboveLocalOom: 1 }, "ancestor", "/pod"],
    ["nobody's: the machine", {}, "host", ""],
  ] as [string, Counters, string, string][])("%s", (_, counters, cause, limitCgroup) => {
    const verdict = oomVerdict(v2(counters));
    expect(verdict).toMatchObject({ cause, limitCgroup, certainty: "certain" });
    expect(verdict.evidence[0]).toBe("The container's own counter oom_kill rose by 1.");
  });

  test("a pod's limit that others died of, too, says so", () => {
    const verdict = oomVerdict(v2({ aboveLocalOom: 2, aboveKill: 3 }));
    expect(verdict).toMatchObject({ cause: "ancestor" });
    expect(verdict.evidence.join(" ")).toContain("others below it were killed, too");
  });

  test("a cgroup that was removed at once: known from the log, else not", () => {
    const gone = v2({}).held.map((file) => ({ ...file, after: "" }));
    expect(oomVerdict(v2({}, { held: gone }))).toMatchObject({
      cause: "unknown",
      certainty: "inferred",
      scope: "unknown",
    });
    const lines = [summary(100, "oom_memcg=/pod", "/pod/c1"), killed(100)];
    expect(oomVerdict(v2({}, { held: gone, lines }))).toMatchObject({
      cause: "ancestor",
      limitCgroup: "/pod",
      certainty: "certain",
      scope: "init",
    });
  });

  test("a kernel without local counters leaves it to the log", () => {
    const held = v2({}).held.filter(({ path }) => !path.endsWith(".local"));
    expect(oomVerdict(v2({}, { held }))).toMatchObject({ cause: "unknown", certainty: "certain" });
    const lines = [summary(100, "global_oom", "/pod/c1"), killed(100, "Out of memory")];
    expect(oomVerdict(v2({}, { held, lines }))).toMatchObject({ cause: "host" });
  });

  test("a group kill is told as such", () => {
    expect(oomVerdict(v2({ ownLocalOom: 1, ownKill: 5, group: 1 })).group).toBe(true);
    expect(oomVerdict(v2({ ownLocalOom: 1 })).group).toBe(false);
  });
});

describe("who was killed", () => {
  const oom = { ownLocalOom: 1 };

  test.each([
    ["the init", [killed(100)], "init", "", [100]],
    ["an exec", [killed(200)], "exec", "e1", [200]],
    ["a child, by its cgroup", [summary(300, "oom_memcg=/pod/c1", "/pod/c1/sub"), killed(300)], "child", "", [300]],
    ["a child, as the only one it can have been", [killed(300)], "child", "", [300]],
    ["nobody that is named", [], "unknown", "", []],
  ])("%s", (_, lines, scope, execId, pids) => {
    const verdict = oomVerdict(v2(oom, { lines }));
    expect(verdict).toMatchObject({ scope, execId });
    expect(verdict.victims.map(({ pid }) => pid)).toEqual(pids);
  });

  test("a kill of another container is not ours", () => {
    const lines = [summary(300, "oom_memcg=/other", "/other"), killed(300)];
    expect(oomVerdict(v2(oom, { lines }))).toMatchObject({ scope: "unknown", victims: [] });
    const sibling = [summary(300, "oom_memcg=/pod", "/pod/c10"), killed(300)];
    expect(oomVerdict(v2(oom, { lines: sibling }))).toMatchObject({ victims: [] });
  });

  test("more unexplained kills than the counter lacks: none is taken", () => {
    expect(oomVerdict(v2(oom, { lines: [killed(300), killed(301)] })).victims).toEqual([]);
    const both = oomVerdict(v2({ ownLocalOom: 2, ownKill: 2 }, { lines: [killed(300), killed(301)] }));
    expect(both.victims.map(({ pid }) => pid)).toEqual([300, 301]);
  });
});

describe("on v1", () => {
  const held = [`${root}/memory/pod/c1`, `${root}/memory/pod`].map((directory, index) => ({
    path: `${directory}/memory.oom_control`,
    before: "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
    after: `oom_kill_disable 0\nunder_oom 0\noom_kill ${index === 0 ? 1 : 0}\n`,
  }));
  const files = (own: Record<string, string>, above: Record<string, string> = {}): OomFact["snapshot"] => [
    ...Object.entries(own).map(([name, text]) => ({ path: `${root}/memory/pod/c1/memory.${name}`, text })),
    ...Object.entries(above).map(([name, text]) => ({ path: `${root}/memory/pod/memory.${name}`, text })),
  ];
  const unlimited = "9223372036854771712\n";

  test.each([
    [
      "own, by its highest use",
      files({ limit_in_bytes: "1000000\n", usage_in_bytes: "400\n", max_usage_in_bytes: "1000000\n" }),
      "own",
      "/pod/c1",
    ],
    [
      "the pod, by its use",
      files(
        { limit_in_bytes: unlimited, usage_in_bytes: "900\n" },
        { limit_in_bytes: "1000\n", usage_in_bytes: "1000\n" },
      ),
      "ancestor",
      "/pod",
    ],
    ["nobody knows", files({ limit_in_bytes: unlimited, usage_in_bytes: "900\n" }), "unknown", ""],
  ])("%s", (_, snapshot, cause, limitCgroup) => {
    expect(oomVerdict(v2({}, { held, snapshot }))).toMatchObject({ cause, limitCgroup, certainty: "certain" });
  });

  test("the log beats the use", () => {
    const snapshot = files({ limit_in_bytes: "1000\n", usage_in_bytes: "1000\n" });
    const lines = [summary(100, "oom_memcg=/pod", "/pod/c1"), killed(100)];
    expect(oomVerdict(v2({}, { held, snapshot, lines }))).toMatchObject({ cause: "ancestor", limitCgroup: "/pod" });
  });

  test("an unlimited cgroup has no limit", () => {
    const verdict = oomVerdict(v2({}, { held, snapshot: files({ limit_in_bytes: unlimited }) }));
    expect(verdict.levels.levels[0]).toMatchObject({ cgroup: "/pod/c1", limit: 0n });
  });
});

test("a fact without any file is still a verdict", () => {
  expect(oomVerdict(v2({}, { held: [], snapshot: [] }))).toMatchObject({ cause: "unknown", certainty: "inferred" });
});
