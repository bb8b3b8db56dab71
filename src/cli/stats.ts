import { setTimeout as delay } from "node:timers/promises";
import { VigilError } from "../base/errors.js";
import { places } from "../client/places.js";
import { listShims } from "../client/records.js";
import { type Found, findContainer, withShim } from "./find.js";
import { formatTable, paint, plain, print, printJson } from "./output.js";
import { formatBytes } from "./quantities.js";
import { type Usage, usageOf } from "./usage.js";
import type { CommonOptions } from "./verb.js";

export interface StatsOptions extends CommonOptions {
  readonly stream?: boolean;
}

interface Sample {
  readonly namespace: string;
  readonly id: string;
  readonly at: number;
  readonly usage: Usage;
}

interface Row extends Sample {
  /** Of one processor; null in the first sample of a container. */
  readonly cpuPercent: number | null;
}

const intervalMs = 1_000;
const firstIntervalMs = 500;

/** A table that is drawn anew every second. One look alone needs two samples, for what the processor did in between. */
export async function stats(names: readonly string[], options: StatsOptions): Promise<void> {
  let before = await sampleAll(names, options);
  for (let round = 0; ; round++) {
    await delay(round === 0 ? firstIntervalMs : intervalMs);
    const now = await sampleAll(names, options);
    await show(rate(before, now), options);
    if (options.stream === false || (names.length > 0 && now.length === 0)) return;
    before = now;
  }
}

async function sampleAll(names: readonly string[], { namespace }: StatsOptions): Promise<Sample[]> {
  const found = names.length > 0 ? names.map((name) => findContainer(name, namespace)) : everything(namespace);
  const samples = await Promise.all(found.map(sample));
  return samples.filter((each) => each !== undefined);
}

function everything(namespace: string | undefined): Found[] {
  return listShims(places())
    .filter((shim) => shim.alive && (!namespace || shim.namespace === namespace))
    .flatMap((shim) => shim.containers.map((container) => ({ ...container, namespace: shim.namespace, shim })));
}

/** Undefined for a container that has ended, whose cgroup is gone. */
async function sample({ id, namespace, shim }: Found): Promise<Sample | undefined> {
  try {
    const { stats: message } = await withShim(shim, ({ task }) => task.stats({ id }, { timeoutMs: 10_000 }));
    const usage = usageOf(message);
    if (!usage) throw new VigilError("internal", `${id}: statistics of an unknown kind, ${message?.typeUrl}`);
    return { namespace, id, at: performance.now(), usage };
  } catch (error) {
    if (["not_found", "failed_precondition", "unavailable"].includes(VigilError.from(error).code)) return undefined;
    throw error;
  }
}

function rate(before: readonly Sample[], now: readonly Sample[]): Row[] {
  return now.map((sample) => {
    const previous = before.find(({ namespace, id }) => namespace === sample.namespace && id === sample.id);
    if (!previous) return { ...sample, cpuPercent: null };
    const nanoseconds = Number(sample.usage.cpuNanoseconds - previous.usage.cpuNanoseconds);
    // Less than before: the container was made anew under its name.
    const cpuPercent = nanoseconds < 0 ? null : nanoseconds / (sample.at - previous.at) / 10_000;
    return { ...sample, cpuPercent };
  });
}

async function show(rows: readonly Row[], options: StatsOptions): Promise<void> {
  if (options.json) {
    for (const { namespace, id, cpuPercent, usage } of rows) printJson({ namespace, id, cpuPercent, ...usage });
    return;
  }
  const header = ["NAME", "NAMESPACE", "CPU", "MEMORY", "OF", "CACHE", "PROCESSES", "READ", "WRITTEN", "OOM KILLS"];
  const text = await formatTable(header, rows.map(toCells));
  const redraw = options.stream !== false && process.stdout.isTTY;
  // Home, and clear what is below (ECMA-48, CUP and ED): no flicker, and the scrollback stays.
  print(redraw ? `\x1b[H\x1b[J${text}` : text);
}

function toCells({ namespace, id, cpuPercent, usage }: Row): string[] {
  const used = usage.memoryBytes - usage.reclaimableBytes;
  const limit = usage.memoryLimitBytes;
  const share = limit > 0n ? Number((used * 1000n) / limit) / 10 : 0;
  const colour = share >= 90 ? "red" : share >= 75 ? "yellow" : undefined;
  const memory = limit > 0n ? `${formatBytes(used)} (${share.toFixed(0)}%)` : formatBytes(used);
  return [
    plain(id),
    plain(namespace),
    cpuPercent === null ? "-" : `${cpuPercent.toFixed(1)}%`,
    colour ? paint(colour, memory) : memory,
    limit > 0n ? formatBytes(limit) : "no limit",
    formatBytes(usage.reclaimableBytes),
    usage.pidsLimit > 0n ? `${usage.pids} of ${usage.pidsLimit}` : String(usage.pids),
    formatBytes(usage.readBytes),
    formatBytes(usage.writtenBytes),
    usage.oomKills > 0n ? paint("red", String(usage.oomKills)) : "0",
  ];
}
