import type { PSIData, PSIStats } from "../../gen/containerd/cgroups/v2/metrics.js";
import { nestedKeyValues } from "./key-values.js";

/** A pressure file of v2 (Documentation/accounting/psi.rst); undefined without one. */
export function parsePressure(text: string | undefined): PSIStats | undefined {
  const lines = nestedKeyValues(text);
  const line = (name: string): PSIData | undefined => {
    const values = lines.get(name);
    if (!values) return undefined;
    const percent = (key: string): number => Number(values.get(key) ?? 0);
    return {
      avg10: percent("avg10"),
      avg60: percent("avg60"),
      avg300: percent("avg300"),
      total: BigInt(values.get("total") ?? 0),
    };
  };
  return lines.size === 0 ? undefined : { some: line("some"), full: line("full") };
}
