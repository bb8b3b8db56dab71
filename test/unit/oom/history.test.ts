import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentLog } from "../../../src/base/log.js";
import { OomReport_Cause as Cause, OomReport_Scope as Scope } from "../../../src/gen/vigil/v1/vigil.js";
import { OomHistory } from "../../../src/oom/history.js";
import { formatReport, parseReport } from "../../../src/oom/report-json.js";
import type { ExitedFact, OomFact } from "../../../src/task/facts.js";

let state: string;
let history: OomHistory;
const context = { limitsChangedAt: 0n, announced: true };

const open = (): OomHistory => new OomHistory({ stateDirectory: state, namespace: "n", log: silentLog });

beforeEach(() => {
  state = join(mkdtempSync(join(tmpdir(), "vigil-oom-")), "group-1700");
  history = open();
});

afterEach(() => rmSync(join(state, ".."), { recursive: true }));

const own = "/sys/fs/cgroup/c1";
const second = 1_000_000_000n;

function oom(seq: bigint, rest: Partial<OomFact> = {}): OomFact {
  return {
    kind: "oom",
    seq,
    container: "c1",
    at: 1000n * second,
    kills: 1n,
    total: seq,
    monotonic: 5n,
    held: [
      { path: `${own}/memory.events`, before: "oom 0\noom_kill 0\n", after: "oom 1\noom_kill 1\n" },
      { path: `${own}/memory.events.local`, before: "oom 0\noom_kill 0\n", after: "oom 1\noom_kill 1\n" },
    ],
    snapshot: [
      { path: `${own}/memory.max`, text: "67108864\n" },
      { path: `${own}/memory.current`, text: "67104768\n" },
      { path: `${own}/memory.stat`, text: "anon 1000\nshmem 60000000\n" },
      { path: `${own}/memory.swap.max`, text: "0\n" },
    ],
    lines: [],
    last: false,
    initPid: 100,
    execs: [],
    ...rest,
  };
}

const exited = (rest: Partial<ExitedFact> = {}): ExitedFact => ({
  kind: "exited",
  seq: 9n,
  container: "c1",
  exec: "",
  pid: 100,
  status: 137,
  signal: 9,
  at: 1000n * second + 5_000_000n,
  maxRssBytes: 0n,
  started: true,
  ...rest,
});

describe("OOM reports", () => {
  test("are there when the fact was recorded, in words and numbers, for the owner alone", () => {
    history.record(oom(3n), context);
    const [report] = history.list("");
    expect(report).toMatchObject({
      schemaVersion: 1,
      id: "group-1700-3",
      containerId: "c1",
      namespace: "n",
      cause: Cause.OWN_LIMIT,
      scope: Scope.SCOPE_UNKNOWN,
      kills: 1n,
      limitCgroup: "/c1",
      limitBytes: 67108864n,
      usageBytes: 67104768n,
      cgroupVersion: 2,
      countersAfter: { oom: 1n, oom_kill: 1n },
      memoryStat: { anon: 1000n },
    });
    expect(report?.summary).toBe(
      "A process of the container was killed because the container reached its own memory limit of 64 MiB. Raise the container's memory limit, or make the program use less.",
    );
    expect(report?.evidence).toContain("More than half of its memory is shared memory or tmpfs files.");
    expect(report?.evidence).toContain("It may not use swap.");
    const [file = ""] = readdirSync(join(state, "reports"));
    expect(statSync(join(state, "reports", file)).mode & 0o777).toBe(0o600);
    expect(statSync(join(state, "reports")).mode & 0o777).toBe(0o700);
  });

  test("say who died once that is known", () => {
    history.record(oom(3n), context);
    history.attribute(exited(), false);
    expect(history.list("c1")[0]).toMatchObject({ scope: Scope.INIT });
    expect(history.list("c1")[0]?.evidence.at(-1)).toBe(
      "The container's init (process 100) died by SIGKILL 5 ms later.",
    );
    expect(history.list("c1")[0]?.summary).toContain("The container's init process was killed");
  });

  // The init's end told wrongly is the commonest false alarm: a child's kill long ago, an exit code that only looks like one.
  test.each([
    ["a child was killed and the init ended well", { status: 0, signal: 0 }, Scope.CHILD],
    ["a child was killed and a shell gives 137", { status: 137, signal: 0 }, Scope.CHILD],
    ["a child was killed and the init was stopped a minute later", { at: 1060n * second }, Scope.CHILD],
    ["an exec died", { exec: "e1", pid: 200 }, Scope.EXEC],
    ["an exec ended well", { exec: "e1", pid: 200, status: 0, signal: 0 }, Scope.SCOPE_UNKNOWN],
  ])("%s", (_, exit, scope) => {
    history.record(oom(3n), context);
    history.attribute(exited(exit), false);
    expect(history.list("c1")[0]).toMatchObject({ scope });
  });

  test("a death that a request asked for says nothing", () => {
    history.record(oom(3n), context);
    history.attribute(exited(), true);
    expect(history.list("c1")[0]).toMatchObject({ scope: Scope.SCOPE_UNKNOWN });
  });

  test("a kill that the log explains is not taken for another's", () => {
    const lines = [
      "Memory cgroup out of memory: Killed process 300 (x) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB, UID:5 pgtables:6kB oom_score_adj:7",
    ];
    history.record(oom(3n, { lines }), context);
    history.attribute(exited(), false);
    expect(history.list("c1")[0]).toMatchObject({ scope: Scope.CHILD, victims: [{ pid: 300, name: "x" }] });
  });

  test("a change of the limits just before is mentioned", () => {
    history.record(oom(3n), { ...context, limitsChangedAt: 999n * second });
    expect(history.list("")[0]?.evidence).toContain("The limits were changed by an Update request 1000 ms before.");
    history.record(oom(4n), { ...context, limitsChangedAt: 900n * second });
    expect(history.list("")[1]?.evidence.join()).not.toContain("Update");
  });

  test("get the number of their event, also when that comes from an earlier daemon", () => {
    history.record(oom(3n), context);
    history = open();
    history.numbered(3n, 17n);
    history.numbered(4n, 18n);
    expect(history.list("").map(({ sequence }) => sequence)).toEqual([17n]);
  });

  test("a fact that is told again changes nothing, and is still completed", () => {
    history.record(oom(3n), context);
    const before = history.list("");
    history = open();
    history.record(oom(3n), context);
    expect(history.list("")).toEqual(before);
    history.attribute(exited(), false);
    expect(history.list("")[0]).toMatchObject({ scope: Scope.INIT });
  });

  test("are listed in order, by container, and the oldest go first", () => {
    for (let seq = 1n; seq <= 1005n; seq += 1n)
      history.record(oom(seq, { container: seq % 2n === 0n ? "even" : "odd" }), context);
    const reports = history.list("");
    expect(reports).toHaveLength(1000);
    expect(reports[0]?.id).toBe("group-1700-6");
    expect(reports.at(-1)?.id).toBe("group-1700-1005");
    expect(history.list("even")).toHaveLength(500);
    expect(readdirSync(join(state, "reports"))).toHaveLength(1000);
  });

  test("a file that is broken costs that report only", () => {
    history.record(oom(3n), context);
    history.record(oom(4n), context);
    const [file = ""] = readdirSync(join(state, "reports")).sort();
    writeFileSync(join(state, "reports", file), "{");
    expect(
      open()
        .list("")
        .map(({ id }) => id),
    ).toEqual(["group-1700-4"]);
  });

  test("a disk that refuses costs the report, not the event", () => {
    rmSync(state, { recursive: true, force: true });
    writeFileSync(state, "in the way");
    chmodSync(state, 0o600);
    expect(() => history.record(oom(3n), context)).not.toThrow();
    expect(history.list("")).toEqual([]);
    rmSync(state);
  });

  test("survive their file", () => {
    history.record(oom(3n), context);
    const [report] = history.list("");
    if (!report) throw new Error("no report");
    expect(parseReport(formatReport(report))).toEqual(report);
    const [file = ""] = readdirSync(join(state, "reports"));
    expect(JSON.parse(readFileSync(join(state, "reports", file), "utf8"))).toMatchObject({
      kills: "1",
      schemaVersion: 1,
    });
  });
});
