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

async function holding(containerd: Containerd, runtime: string, count: number, prefix: string): Promise<Memory> {
  const ids = Array.from({ length: count }, (_, at) => `${prefix}${at}`);
  const group = ["--annotation", `io.containerd.runc.v2.group=${prefix}`];
  for (const id of ids) {
    const flags = ["--runtime", runtime, "--null-io", ...(count > 1 ? group : []), "--rootfs"];
    const { code, stderr } = await containerd.ctr(["run", "-d", ...flags, containerd.rootfs, id, "/bin/sleep", "1000"]);
    if (code !== 0) throw new Error(`${runtime}: ${stderr}`);
  }
  // Garbage collectors and freed pages of the start-up settle.
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const parts = supervisors(containerd.namespace).map((view) => memoryOf(view.pid));
  for (const id of ids) {
    await containerd.ctr(["task", "delete", "--force", id]);
    await containerd.ctr(["container", "delete", id]);
  }
  const sum = (key: keyof Memory) => parts.reduce((total, part) => total + part[key], 0);
  return { rss: sum("rss"), pss: sum("pss"), own: sum("own") };
}

export async function memory(containerd: Containerd, use: Runtimes, times: number): Promise<Series[]> {
  const found: Series[] = [];
  for (const count of [1, 10]) {
    const label = count === 1 ? "1 container" : `a group of ${count} containers`;
    const rss = series(`memory, ${label}: RSS`, "MiB");
    const pss = series(`memory, ${label}: PSS`, "MiB");
    const own = series(`memory, ${label}: private`, "MiB");
    for (let at = 0; at < times; at++) {
      for (const side of ["stock", "tested"] as readonly Side[]) {
        const seen = await holding(containerd, use[side], count, `m${count}${side[0]}${at}x`);
        rss[side].push(seen.rss);
        pss[side].push(seen.pss);
        own[side].push(seen.own);
      }
      progress(`bench memory, ${label}: ${at + 1}/${times}`);
    }
    found.push(rss, pss, own);
  }
  return found;
}
