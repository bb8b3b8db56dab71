import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseGroupKill, parseKill, parseSummary } from "../../../src/task/kmsg.js";

const KiB = 1024n;

// Lines of kernels 6.1 to 6.18 as /dev/kmsg and dmesg gave them, and of older ones as their source prints them.
describe("a kill line", () => {
  test("of a memory cgroup, with the header of /dev/kmsg", () => {
    const line =
      "3,75599,6960300281,-;Memory cgroup out of memory: Killed process 19955 (tail) total-vm:21456kB, anon-rss:19328kB, file-rss:1324kB, shmem-rss:0kB, UID:0 pgtables:76kB oom_score_adj:1";
    expect(parseKill(line)).toEqual({
      pid: 19955,
      name: "tail",
      totalVm: 21456n * KiB,
      anonRss: 19328n * KiB,
      fileRss: 1324n * KiB,
      shmemRss: 0n,
      uid: 0,
      oomScoreAdj: 1,
      host: false,
    });
  });

  test.each([
    [
      "Out of memory: Killed process 7 (x) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB, UID:5 pgtables:6kB oom_score_adj:-17",
      true,
      7,
      -17,
    ],
    [
      "Out of memory (oom_kill_allocating_task): Killed process 7 (x) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB, UID:5 pgtables:6kB oom_score_adj:0",
      true,
      7,
      0,
    ],
    ["Killed process 7 (x) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB", false, 7, 0],
    ["Killed process 7 (x), UID 5, total-vm:1kB, anon-rss:2kB, file-rss:3kB", false, 7, 0],
  ])("%s", (line, host, pid, oomScoreAdj) => {
    expect(parseKill(line)).toMatchObject({ host, pid, name: "x", oomScoreAdj });
  });

  test.each([
    ["a victim that names itself like the rest of the line", "a) total-vm:9kB", 42],
    ["a victim that names itself like a whole line", "Killed process", 42],
    ["a victim with brackets", "x) (y", 42],
    ["bytes that the kernel escapes", "\\xff\\x0a", 42],
  ])("%s", (_, name, pid) => {
    const line = `Memory cgroup out of memory: Killed process ${pid} (${name}) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB, UID:5 pgtables:6kB oom_score_adj:7`;
    expect(parseKill(line)).toMatchObject({ pid, name, totalVm: KiB, uid: 5, oomScoreAdj: 7 });
  });

  test.each([
    "tail invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=1",
    "x Memory cgroup out of memory: Killed process 1 (y) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB",
    "Memory cgroup out of memory: Killed process 1 (y) total-vm:1kB, anon-rss:2kB",
    "oom_reaper: reaped process 1 (y), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
    "",
  ])("%j is none", (line) => expect(parseKill(line)).toBeUndefined());
});

describe("a summary line", () => {
  const start = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=sup15,mems_allowed=0";

  test("of a cgroup's limit", () => {
    const line = `6,75598,6960300265,-;${start},oom_memcg=/default,task_memcg=/default/sup15,task=tail,pid=19955,uid=0`;
    expect(parseSummary(line)).toEqual({ pid: 19955, limitCgroup: "/default", taskCgroup: "/default/sup15" });
  });

  test("of the machine", () => {
    const line =
      "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/a/b,task=x,pid=3,uid=1";
    expect(parseSummary(line)).toEqual({ pid: 3, limitCgroup: undefined, taskCgroup: "/a/b" });
  });

  test("of a process that names itself like fields: its pid is the last one", () => {
    const line = `${start},oom_memcg=/a,task_memcg=/a/b,task=a,pid=1,uid=0,pid=77,uid=5`;
    expect(parseSummary(line)).toMatchObject({ pid: 77, limitCgroup: "/a", taskCgroup: "/a/b" });
  });

  test.each([
    ["a cgroup that imitates a limit", `${start},oom_memcg=/a,oom_memcg=/victim,task_memcg=/a/b,task=x,pid=3,uid=1`],
    ["a cgroup that imitates a task's", `${start},oom_memcg=/a,task_memcg=/victim,task_memcg=/a/b,task=x,pid=3,uid=1`],
    [
      "a process that imitates a task's cgroup",
      `${start},oom_memcg=/a,task_memcg=/a/b,task=x,task_memcg=/victim,pid=3,uid=1`,
    ],
    ["both a limit and the machine", `${start},oom_memcg=/a,global_oom,task_memcg=/a/b,task=x,pid=3,uid=1`],
    ["half a line", `${start},oom_memcg=/a,task_memcg=/a/b,task=x`],
  ])("%s proves nothing", (_, line) => expect(parseSummary(line)).toBeUndefined());
});

test("a group kill names its cgroup", () => {
  expect(parseGroupKill("6,1,2,-;Tasks in /a/b are going to be killed due to memory.oom.group set")).toBe("/a/b");
});

test("any line is understood or refused", () => {
  const piece = fc.constantFrom(
    "oom-kill:constraint=",
    ",oom_memcg=",
    ",task_memcg=",
    ",task=",
    ",pid=5",
    ",uid=0",
    "Killed process ",
    "Memory cgroup out of memory: ",
    "7 (x) ",
    "total-vm:1kB, anon-rss:2kB, file-rss:3kB",
  );
  const line = fc.array(fc.oneof(piece, fc.string()), { maxLength: 12 }).map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(line, (text) => {
      const kill = parseKill(text);
      if (kill) expect(Number.isSafeInteger(kill.pid)).toBe(true);
      const summary = parseSummary(text);
      if (summary) expect(text.startsWith("oom-kill:constraint=")).toBe(true);
      expect(parseGroupKill(text) === undefined || text.includes("memory.oom.group")).toBe(true);
    }),
    { numRuns: 3000 },
  );
});
