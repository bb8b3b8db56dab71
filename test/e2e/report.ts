// What the compare suite hands to the table: one line of JSON per scenario and version.
import { appendFileSync, writeSync } from "node:fs";
import type { Difference } from "./compare.js";

export interface ScenarioReport {
  readonly scenario: string;
  readonly version: string;
  readonly stockMs: number;
  readonly testedMs: number;
  readonly differences: readonly Difference[];
}

/** Straight to the terminal: the runner holds console output back until a test ends. */
export function progress(text: string): void {
  writeSync(2, `${text}\n`);
}

export function report(entry: ScenarioReport): void {
  const path = process.env.VIGIL_E2E_REPORT;
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(entry)}\n`);
}
