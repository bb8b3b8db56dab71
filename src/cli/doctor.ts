import { places } from "../client/places.js";
import { checkHost, type Level } from "./host-checks.js";
import { formatColumns, paint, plain, print, printJson } from "./output.js";
import type { CommonOptions } from "./verb.js";

const colours = { ok: "green", warn: "yellow", fail: "red" } as const satisfies Record<Level, string>;

export async function doctor(options: CommonOptions): Promise<void> {
  const findings = await checkHost(places());
  if (options.json) {
    printJson(findings, 2);
  } else {
    const rows = findings.map(({ level, topic, found, next }) => [
      paint(colours[level], level),
      topic,
      plain(found) + (next ? ` — ${plain(next)}` : ""),
    ]);
    print(await formatColumns(rows));
  }
  if (findings.some(({ level }) => level === "fail")) process.exitCode = 1;
}
