import type { Series } from "./measure.js";
import { summary } from "./statistics.js";

function cell(values: readonly number[], unit: string): string {
  if (values.length === 0) return "–";
  const { median, p90 } = summary(values);
  const digits = median < 10 ? 2 : median < 100 ? 1 : 0;
  return `${median.toFixed(digits)} (${p90.toFixed(digits)}) ${unit}`;
}

function ratio({ stock, tested }: Series): string {
  if (stock.length === 0 || tested.length === 0) return "–";
  return `${(summary(tested).median / summary(stock).median).toFixed(2)}×`;
}

/** A table as the README shows it: medians, with the ninth decile in parentheses. */
export function markdown(all: readonly Series[], testedName: string): string {
  const rows = all.map((entry) => [
    entry.name,
    cell(entry.stock, entry.unit),
    cell(entry.tested, entry.unit),
    ratio(entry),
    entry.stock.length === entry.tested.length
      ? String(entry.stock.length)
      : `${entry.stock.length}, ${entry.tested.length}`,
  ]);
  const head = ["median (p90)", "stock shim and runc", testedName, "ratio", "samples"];
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const notes = all.flatMap((entry) => entry.notes.map((note) => `- ${entry.name}: ${note}`));
  return [line(head), line(head.map((_, at) => (at === 0 ? "---" : "--:"))), ...rows.map(line), "", ...notes].join(
    "\n",
  );
}

export function json(all: readonly Series[], facts: Readonly<Record<string, string>>): string {
  const results = all.map((entry) => ({
    ...entry,
    summary: { stock: summary(entry.stock), tested: summary(entry.tested) },
  }));
  return JSON.stringify({ facts, results }, null, 2);
}
