// What a measurement is: a name, a unit, and one series of numbers for each runtime, taken in turns.

import { progress } from "../e2e/report.js";
import { stockRuntime } from "../support/bed.js";

export type Side = "stock" | "tested";

export interface Series {
  readonly name: string;
  readonly unit: "ms" | "MiB";
  readonly stock: number[];
  readonly tested: number[];
  /** What went wrong, for the reader of the numbers: events missing, runs without a sample. */
  readonly notes: string[];
}

export function series(name: string, unit: "ms" | "MiB"): Series {
  return { name, unit, stock: [], tested: [], notes: [] };
}

export interface Runtimes {
  readonly stock: string;
  readonly tested: string;
}

export function runtimes(tested: string): Runtimes {
  return { stock: stockRuntime, tested };
}

/** One side, then the other, and the other way round the next time, so that drift of the machine hits both alike. */
export async function inTurns(
  what: string,
  times: number,
  once: (side: Side, id: string) => Promise<void>,
): Promise<void> {
  for (let at = 0; at < times; at++) {
    const order: readonly Side[] = at % 2 === 0 ? ["stock", "tested"] : ["tested", "stock"];
    for (const side of order) await once(side, `${what.slice(0, 3)}${side[0]}${at}`);
    if ((at + 1) % 10 === 0 || at + 1 === times) progress(`bench ${what}: ${at + 1}/${times}`);
  }
}
