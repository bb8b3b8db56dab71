// Measures the stock shim with runc and vigil in turns under one containerd. Called by run.sh.
import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import { progress } from "../e2e/report.js";
import { bed, shimBinary, stockRuntime } from "../support/bed.js";
import { runCommand } from "../support/command.js";
import { startContainerd } from "../support/containerd.js";
import { runtimes } from "./measure.js";
import { memory, supervisors } from "./memory.js";
import { oomLatency } from "./oom-latency.js";
import { json, markdown } from "./print.js";
import { nobodyLeft, startAction } from "./start-action.js";
import { wallTime } from "./wall-time.js";

const { values } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    runs: { type: "string", default: "50" },
    only: { type: "string", default: "wall,start,oom,memory" },
  },
});
const times = Number(values.runs);
const only = new Set(values.only.split(","));
const containerd = await startContainerd("2.1");
const use = runtimes(bed.runtime);
const facts = {
  containerd: (await runCommand([`${bed.binaries("2.1")}/containerd`, "--version"])).stdout.toString().trim(),
  runc: (await runCommand(["runc", "--version"])).stdout.toString().split("\n")[0] ?? "",
  kernel: release(),
  node: process.version,
  cpu: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
  tested: bed.runtime,
};
try {
  const all = [];
  // Once each before anything counts: page cache, containerd's lazily loaded parts.
  for (const runtime of [stockRuntime, bed.runtime]) {
    await containerd.ctr(["run", "--rm", "--runtime", runtime, "--rootfs", containerd.rootfs, "warm", "/bin/true"]);
  }
  if (only.has("wall")) all.push(...(await wallTime(containerd, use, times)));
  if (only.has("start")) all.push(...(await startAction(containerd, use, times)));
  await nobodyLeft(() => supervisors(containerd.namespace).length);
  if (only.has("oom")) all.push(...(await oomLatency(containerd, use, times)));
  if (only.has("memory")) all.push(...(await memory(containerd, use, Math.max(3, Math.round(times / 10)))));
  progress(
    `bench ${Object.entries(facts)
      .map(([key, value]) => `${key}: ${value}`)
      .join("; ")}`,
  );
  const name = bed.runtime === stockRuntime ? "the same again" : shimBinary(bed.runtime);
  console.log(values.json ? json(all, facts) : markdown(all, name));
} finally {
  await containerd.close();
}
