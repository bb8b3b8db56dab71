// The table, what failed and why, and whether the suite as a whole passes.

import { leftoverTest, type Run, type Verdict } from "./results.js";
import { isVigil } from "./runtime.js";
import type { Test } from "./test.js";

export interface Judgement {
  readonly problems: readonly string[];
  /** Notes of tests that some runtime passes after all. */
  readonly needless: readonly string[];
}

function verdicts(runs: readonly Run[], name: string): Map<Run, Verdict> {
  return new Map(runs.map((run) => [run, run.outcomes.get(name)?.verdict ?? "skip"]));
}

export function judge(tests: readonly Test[], runs: readonly Run[]): Judgement {
  const problems: string[] = [];
  const needless: string[] = [];
  for (const { name, everywhere } of tests) {
    const each = verdicts(runs, name);
    const passed = [...each].filter(([, verdict]) => verdict === "pass").map(([run]) => run.runtime.title);
    const failed = [...each].filter(([, verdict]) => verdict === "fail");
    const vigil = failed.find(([run]) => isVigil(run.runtime));
    if (vigil !== undefined && passed.length > 0) {
      problems.push(`${vigil[0].runtime.title} fails what ${passed.join(" and ")} passes: ${name}`);
    }
    if (failed.length > 0 && passed.length === 0 && everywhere === undefined) {
      problems.push(`fails everywhere, without a note: ${name}`);
    }
    if (everywhere !== undefined && passed.length > 0) needless.push(`${name} (${passed.join(", ")} passes)`);
  }
  for (const run of runs) {
    const { verdict, why = "" } = run.outcomes.get(leftoverTest) ?? { verdict: "pass" };
    if (verdict === "fail" && isVigil(run.runtime)) problems.push(`${run.runtime.title} left behind: ${why}`);
  }
  return { problems, needless };
}

function indented(text: string): string {
  const lines = text.trim().split("\n");
  const shown = lines.length > 12 ? [...lines.slice(0, 12), `… ${lines.length - 12} more lines`] : lines;
  return shown.map((line) => `      ${line.slice(0, 400)}`).join("\n");
}

export function printTable(tests: readonly Test[], runs: readonly Run[]): void {
  const names = [...tests.map((test) => test.name), leftoverTest];
  const width = Math.max(...names.map((name) => name.length));
  const columns = runs.map((run) => ({ run, width: Math.max(4, run.runtime.title.length) }));
  const row = (first: string, cells: readonly string[]) =>
    console.log(
      [first.padEnd(width), ...columns.map((column, at) => (cells[at] ?? "").padEnd(column.width))].join("  "),
    );
  row(
    "",
    runs.map((run) => run.runtime.title),
  );
  for (const name of names)
    row(
      name,
      runs.map((run) => run.outcomes.get(name)?.verdict ?? ""),
    );
  for (const verdict of ["pass", "fail", "skip"] as const) {
    row(
      verdict,
      runs.map((run) => `${[...run.outcomes.values()].filter((outcome) => outcome.verdict === verdict).length}`),
    );
  }
  row(
    "seconds in tests",
    runs.map((run) => ([...run.outcomes.values()].reduce((sum, { ms }) => sum + ms, 0) / 1000).toFixed(0)),
  );
}

export function printReasons(tests: readonly Test[], runs: readonly Run[]): void {
  const notes = new Map(tests.map((test) => [test.name, test.everywhere]));
  for (const verdict of ["fail", "skip"] as const) {
    for (const name of [...tests.map((test) => test.name), leftoverTest]) {
      const hit = runs.filter((run) => run.outcomes.get(name)?.verdict === verdict);
      if (hit.length === 0) continue;
      console.log(`\n${verdict} ${name}`);
      const note = notes.get(name);
      if (note !== undefined && verdict === "fail") console.log(`   everywhere: ${note}`);
      for (const run of hit) console.log(`   ${run.runtime.title}:\n${indented(run.outcomes.get(name)?.why ?? "")}`);
    }
  }
}

export function asJson(tests: readonly Test[], runs: readonly Run[], judgement: Judgement): string {
  const rows = [...tests, { name: leftoverTest, everywhere: undefined }].map(({ name, everywhere }) => ({
    test: name,
    ...(everywhere === undefined ? {} : { everywhere }),
    outcomes: Object.fromEntries(runs.map((run) => [run.runtime.path, run.outcomes.get(name)])),
  }));
  return JSON.stringify({ runtimes: runs.map((run) => run.runtime), tests: rows, ...judgement }, null, 2);
}
