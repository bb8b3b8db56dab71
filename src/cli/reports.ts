import { type Places, places } from "../client/places.js";
import { listShims } from "../client/records.js";
import type { OomReport } from "../gen/vigil/v1/vigil.js";
import { withShim } from "./find.js";
import { milliseconds } from "./times.js";

export interface ReportFilter {
  readonly namespace?: string | undefined;
}

/** The OOM reports that running shims keep, oldest first. A shim that does not answer is told of on standard error. */
export async function collectReports({ namespace }: ReportFilter, at: Places = places()): Promise<OomReport[]> {
  const shims = listShims(at).filter((shim) => shim.alive && (!namespace || shim.namespace === namespace));
  const answers = await Promise.all(
    shims.map(async (shim) => {
      try {
        return await withShim(shim, ({ vigil }) => vigil.oomReports("", { timeoutMs: 10_000 }));
      } catch (error) {
        process.stderr.write(`vigil: no reports from ${shim.namespace}/${shim.group}: ${(error as Error).message}\n`);
        return [];
      }
    }),
  );
  const when = ({ detectedAt }: OomReport) => milliseconds(detectedAt) ?? 0;
  return answers.flat().sort((a, b) => when(a) - when(b));
}
