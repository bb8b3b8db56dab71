// The conformance suite's entry. Called by run.sh.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { bed } from "../support/bed.js";
import { allTests } from "./all.js";
import { asJson, judge, printReasons, printTable } from "./harness/report.js";
import { type Run, runAll } from "./harness/results.js";
import { rootfsMaker } from "./harness/rootfs.js";
import { findRuntime, isVigil, type Runtime } from "./harness/runtime.js";

const { values } = parseArgs({
  options: {
    runtime: { type: "string", multiple: true },
    only: { type: "string", default: "" },
    jobs: { type: "string", default: `${cpus().length}` },
    json: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

const standard = [join(bed.built, "vigil-runtime"), bed.newest("runc"), bed.newest("crun")];

async function chosenRuntimes(): Promise<Runtime[]> {
  const found: Runtime[] = [];
  for (const path of values.runtime ?? standard) {
    // The suite calls it from other directories.
    const runtime = await findRuntime(path.includes("/") ? resolve(path) : path);
    if (runtime !== undefined) found.push(runtime);
    else if (values.runtime !== undefined) throw new Error(`--runtime ${path}: does not run`);
    else console.error(`conformance: without ${path}, which is not there`);
  }
  return found;
}

const runtimes = await chosenRuntimes();
const names = allTests.map((test) => test.name);
const twice = names.find((name, at) => names.indexOf(name) !== at);
if (twice !== undefined) throw new Error(`two tests are called "${twice}"`);
const wished = values.only.split(",");
const tests = allTests.filter((test) => wished.some((text) => test.name.includes(text)));
if (tests.length === 0) throw new Error(`--only ${values.only}: no test's name contains that`);
const folder = mkdtempSync(join(tmpdir(), "vigil-conformance-"));
// Mapped users must be able to reach what is theirs.
chmodSync(folder, 0o755);
const runs: Run[] = [];
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
try {
  const rootfs = await rootfsMaker(join(folder, "rootfs"));
  for (const [number, runtime] of runtimes.entries()) {
    const progress = values.verbose ? console.error : () => undefined;
    runs.push(
      await runAll(tests, runtime, {
        folder: join(folder, `${number}`),
        rootfs,
        jobs: Number(values.jobs),
        progress,
        stop: stop.signal,
      }),
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

const judgement = judge(tests, runs);
if (values.json) console.log(asJson(tests, runs, judgement));
else {
  printReasons(tests, runs);
  console.log("");
  printTable(tests, runs);
  for (const text of judgement.needless) console.log(`note no longer needed: ${text}`);
  for (const text of judgement.problems) console.log(`problem: ${text}`);
  if (!runtimes.some(isVigil)) console.log("vigil-runtime was not among the runtimes");
}
if (stop.signal.aborted) console.error("conformance: interrupted");
process.exit(!stop.signal.aborted && judgement.problems.length === 0 ? 0 : 1);
