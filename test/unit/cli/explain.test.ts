import { describe, expect, test } from "vitest";
import { explainFully, formatExplanation, nextStep } from "../../../src/cli/explain.js";
import { plain } from "../../../src/cli/output.js";
import {
  type DeepPartial,
  OomReport,
  OomReport_Cause,
  OomReport_Certainty,
  OomReport_Scope,
} from "../../../src/gen/vigil/v1/vigil.js";

const MiB = 1n << 20n;

function report(different: DeepPartial<OomReport> = {}): OomReport {
  return OomReport.fromPartial({
    id: "vigil-web-1",
    containerId: "web",
    namespace: "vigil",
    sequence: 12n,
    detectedAt: { seconds: 1_790_000_000n, nanos: 5_000_000 },
    certainty: OomReport_Certainty.CERTAIN,
    cause: OomReport_Cause.OWN_LIMIT,
    scope: OomReport_Scope.CHILD,
    kills: 1n,
    limitBytes: 64n * MiB,
    usageBytes: 64n * MiB,
    peakBytes: 64n * MiB,
    victims: [{ pid: 42, name: "java", anonRss: 60n * MiB, uid: 1000, oomScoreAdj: 500 }],
    countersBefore: { oom_kill: 0n, max: 3n, low: 0n },
    countersAfter: { oom_kill: 1n, max: 40n, low: 0n },
    memoryStat: { anon: 60n * MiB, file: 2n * MiB, inactive_anon: 9n },
    evidence: ["oom_kill rose"],
    summary: "java was killed.",
    ...different,
  });
}

function line(label: string, of: OomReport): string | undefined {
  return explainFully(of).find(([name]) => name === label)?.[1];
}

describe("a full explanation", () => {
  test("says which process, how much, whose limit, what was counted", () => {
    const words = report();
    expect(line("killed", words)).toBe(
      "java (pid 42), holding 60 MiB anonymous, uid 1000, oom_score_adj 500: a child process; the container's init lived on",
    );
    expect(line("limit", words)).toBe("the container's own limit of 64 MiB");
    expect(line("memory", words)).toBe("64 MiB just before, 64 MiB at its highest, 64 MiB allowed");
    expect(line("made of", words)).toBe("heap and stacks 60 MiB, page cache 2 MiB");
    expect(line("counters", words)).toBe("max 3 → 40, oom_kill 0 → 1");
    expect(line("certainty", words)).toBe("certain");
    expect(line("evidence", words)).toBe("oom_kill rose");
  });

  test("leaves out what is not known, and does not invent a victim", () => {
    const words = report({ victims: [], memoryStat: {}, usageBytes: 0n, peakBytes: 0n, limitBytes: 0n, kills: 7n });
    expect(line("killed", words)).toBe(
      "7 kills in one go. The kernel's log did not name the process: a child process; the container's init lived on",
    );
    expect(explainFully(words).map(([label]) => label)).not.toContain("made of");
    expect(explainFully(words).map(([label]) => label)).not.toContain("memory");
  });

  test("is aligned", () => {
    expect(
      formatExplanation([
        ["a", "one"],
        ["longer", "two"],
      ]),
    ).toBe("  a       one\n  longer  two");
  });
});

describe("the next step", () => {
  test.each([
    ["own limit", {}, "allow more than 64 MiB"],
    ["own limit, too small to start", { limitBytes: MiB }, "too small for any container"],
    ["tmpfs", { memoryStat: { shmem: 40n * MiB } }, "tmpfs or shared memory"],
    ["tmpfs on v1", { memoryStat: { total_shmem: 40n * MiB } }, "tmpfs or shared memory"],
    ["ancestor", { cause: OomReport_Cause.ANCESTOR_LIMIT, limitCgroup: "/pod" }, "raise that limit"],
    ["host", { cause: OomReport_Cause.HOST }, "add memory or swap"],
    ["user space", { cause: OomReport_Cause.USERSPACE }, "journalctl"],
    ["unknown", { cause: OomReport_Cause.CAUSE_UNKNOWN }, "vigil doctor"],
  ])("%s", (_, different, words) => expect(nextStep(report(different))).toContain(words));
});

test("names from a container cannot steer the terminal", () => {
  const hostile = report({ victims: [{ pid: 1, name: "\x1b[2Jx\n" }] });
  expect(line("killed", hostile)).toContain("?[2Jx?");
  expect(plain("a\x9b1mb")).toBe("a?1mb");
});
