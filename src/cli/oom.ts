import { VigilError } from "../base/errors.js";
import type { OomReport } from "../gen/vigil/v1/vigil.js";
import { describeCause, describeVictim, explainFully, formatExplanation } from "./explain.js";
import { reportJson } from "./json.js";
import { paint, plain, print, printJson, printTable } from "./output.js";
import { collectReports } from "./reports.js";
import { clockTime } from "./times.js";
import type { CommonOptions } from "./verb.js";

export async function listOoms(options: CommonOptions): Promise<void> {
  const reports = collectReports(options.namespace);
  if (options.json) {
    for (const report of reports) printJson(reportJson(report));
    return;
  }
  const header = ["WHEN", "CONTAINER", "KILLED", "KILLS", "WHOSE LIMIT", "REPORT"];
  await printTable(header, reports.map(row));
}

function row(report: OomReport): string[] {
  const [victim] = report.victims;
  return [
    clockTime(report.detectedAt),
    plain(`${report.namespace}/${report.containerId}`),
    victim ? describeVictim(victim) : "not named",
    String(report.kills),
    describeCause(report),
    plain(report.id),
  ];
}

/** By the container's name: all of its reports, the newest last; or one report by its id. */
export async function showOom(name: string, options: CommonOptions): Promise<void> {
  const reports = collectReports(options.namespace).filter(
    ({ id, containerId, namespace }) => name === id || name === containerId || name === `${namespace}/${containerId}`,
  );
  if (reports.length === 0) {
    throw new VigilError(
      "not_found",
      `nothing is known of ${name} having run out of memory; \`vigil oom list\` shows what is known`,
    );
  }
  if (options.json) {
    for (const report of reports) printJson(reportJson(report));
    return;
  }
  const blocks = reports.map((report) => {
    const title = paint("bold", `${plain(report.containerId)} ran out of memory`);
    return `${title}\n${formatExplanation(explainFully(report))}`;
  });
  print(blocks.join("\n\n"));
}
