import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Places, places } from "../client/places.js";
import { directories } from "../client/records.js";
import type { OomReport } from "../gen/vigil/v1/vigil.js";
import { parseReport } from "../oom/report-json.js";
import { milliseconds } from "./times.js";

/** The OOM reports kept on disk, oldest first, those of shims and containers long gone too. */
export function collectReports(namespace: string | undefined, at: Places = places()): OomReport[] {
  const namespaces = directories(at.state).filter((name) => namespace === undefined || name === namespace);
  const shims = namespaces.flatMap((name) =>
    directories(join(at.state, name)).map((shim) => join(at.state, name, shim)),
  );
  const reports = shims.flatMap(reportsOf);
  const when = ({ detectedAt }: OomReport) => milliseconds(detectedAt) ?? 0;
  return reports.sort((a, b) => when(a) - when(b));
}

function reportsOf(state: string): OomReport[] {
  if (!directories(state).includes("reports")) return [];
  const directory = join(state, "reports");
  const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
  return names.sort().flatMap((name) => {
    try {
      return [parseReport(readFileSync(join(directory, name), "utf8"))];
    } catch (error) {
      // One that is damaged, or was dropped as the oldest while this was read, does not hide the others.
      process.stderr.write(`vigil: ${join(directory, name)}: ${(error as Error).message}\n`);
      return [];
    }
  });
}
