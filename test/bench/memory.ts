// What a shim holds while its containers run: all its processes together, as the kernel counts them.
import { readFileSync } from "node:fs";
import { progress } from "../e2e/report.js";
import type { Containerd } from "../support/containerd.js";
import { allProcesses, type ProcessView } from "../support/process-tree.js";
import { type Runtimes, type Series, type Side, series } from "./measure.js";

interface Memory {
  readonly rss: number;
  readonly pss: number;
  readonly own: number;
}

function memoryOf(pid: number): Memory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const mebibytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? "0") / 1024;
  return {
    rss: mebibytes("Rss"),
    pss: mebibytes("Pss"),
    own: mebibytes("Private_Clean") + mebibytes("Private_Dirty"),
  };
}

/** The supervisors of a namespace and everything that serves them, but not the containers. */
export function supervisors(namespace: string): ProcessView[] {
  const all = allProcesses().filter((view) => view.state !== "Z");
  const shims = all.filter(
    (view) => /containerd-shim-|vigil-core/.test(view.command) && view.command.includes(namespace),
  );
  const pids = new Set(shims.map((view) => view.pid));
  const daemons = all.filter((view) => pids.has(view.parent) && /\bvigil\/\S*\.[cm]?js|(^|\/)node /.test(view.command));
  return [...shims, ...daemons];
}

interface Situation {
  readonly label: string;
  readonly containers: number;
  /** All in one group, and so in one shim. */
  readonly grouped: boolean;
  /** Garbage collectors and freed pages of the start-up settle; longer, and a daemon without work may go. */
  readonly settleMs: number;
  readonly samples: number;
}

async function holding(containerd: Containerd, runtime: string, at: Situation, prefix: string): Promise<Memory> {
  const ids = Array.from({ length: at.containers }, (_, number) => `${prefix}${number}`);
  const group = at.grouped ? ["--annotation", `io.containerd.runc.v2.group=${prefix}`] : [];
  for (const id of ids) {
    const flags = ["--runtime", runtime, "--null-io", ...group, "--rootfs"];
    const { code, stderr } = await containerd.ctr(["run", "-d", ...flags, containerd.rootfs, id, "/bin/sleep", "1000"]);
    if (code !== 0) throw new Error(`${runtime}: ${stderr}`);
  }
  await new Promise((resolve) => setTimeout(resolve, at.settleMs));
  const parts = supervisors(containerd.namespace).map((view) => memoryOf(view.pid));
  for (const id of ids) {
    await containerd.ctr(["task", "delete", "--force", id]);
    await containerd.ctr(["container", "delete", id]);
  }
  const sum = (key: keyof Memory) => parts.reduce((total, part) => total + part[key], 0);
  return { rss: sum("rss"), pss: sum("pss"), own: sum("own") };
}

export async function memory(containerd: Containerd, use: Runtimes, samples: number): Promise<Series[]> {
  const situations: readonly Situation[] = [
    { label: "1 container", containers: 1, grouped: false, settleMs: 2000, samples },
    { label: "10 containers in one group", containers: 10, grouped: true, settleMs: 2000, samples },
    { label: "10 containers, ungrouped", containers: 10, grouped: false, settleMs: 2000, samples },
    { label: "1 container, quiet for 75 s", containers: 1, grouped: false, settleMs: 75_000, samples: 1 },
  ];
  const found: Series[] = [];
  for (const [number, at] of situations.entries()) {
    const rss = series(`memory, ${at.label}: RSS`, "MiB");
    const pss = series(`memory, ${at.label}: PSS`, "MiB");
    const own = series(`memory, ${at.label}: private`, "MiB");
    for (let round = 0; round < at.samples; round++) {
      for (const side of ["stock", "tested"] as readonly Side[]) {
        const seen = await holding(containerd, use[side], at, `m${number}${side[0]}${round}x`);
        rss[side].push(seen.rss);
        pss[side].push(seen.pss);
        own[side].push(seen.own);
      }
      progress(`bench memory, ${at.label}: ${round + 1}/${at.samples}`);
    }
    found.push(rss, pss, own);
  }
  return found;
}
