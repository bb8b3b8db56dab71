// Reads the reports of a run and prints scenario × version, then what differs.
import { readFileSync } from "node:fs";
import type { ScenarioReport } from "./report.js";

const path = process.argv[2];
if (path === undefined) throw new Error("print-table.ts REPORT");
const reports = readFileSync(path, "utf8")
  .trim()
  .split("\n")
  .filter((line) => line !== "")
  .map((line) => JSON.parse(line) as ScenarioReport);
const versions = [...new Set(reports.map((entry) => entry.version))];
const names = [...new Set(reports.map((entry) => entry.scenario))];
const width = Math.max(8, ...names.map((name) => name.length));

function verdict(entry: ScenarioReport | undefined): string {
  if (entry === undefined) return "-";
  if (entry.differences.some((difference) => difference.reason === undefined)) return "DIFFERS";
  return entry.differences.length > 0 ? "same, but" : "same";
}

const find = (name: string, version: string) =>
  reports.find((entry) => entry.scenario === name && entry.version === version);

console.log(`${"scenario".padEnd(width)}  ${versions.map((version) => version.padEnd(10)).join("")}`);
for (const name of names) {
  console.log(`${name.padEnd(width)}  ${versions.map((version) => verdict(find(name, version)).padEnd(10)).join("")}`);
}
for (const entry of reports.filter((report) => report.differences.length > 0)) {
  console.log(`\n${entry.scenario} (containerd ${entry.version})`);
  for (const { field, stock, tested, reason } of entry.differences) {
    if (reason !== undefined) console.log(`  allowed: ${field}: ${reason}`);
    else if (stock === "") console.log(`  ${field}:\n    ${tested}`);
    else console.log(`  ${field}:\n    stock:  ${stock}\n    tested: ${tested}`);
  }
}
const faulty = reports.filter((entry) => verdict(entry) === "DIFFERS").length;
const total = (key: "stockMs" | "testedMs") => (reports.reduce((sum, entry) => sum + entry[key], 0) / 1000).toFixed(1);
console.log(
  `\n${reports.length} comparisons, ${faulty} differ; stock shim ${total("stockMs")} s, tested shim ${total("testedMs")} s`,
);
