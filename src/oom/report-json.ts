import { VigilError } from "../base/errors.js";
import { OomReport } from "../gen/vigil/v1/vigil.js";

/** A report as it is kept on disk: the message's fields under their names, numbers of 64 bits as decimal strings. */

const counterMaps = ["countersBefore", "countersAfter", "memoryStat"] as const;

export function formatReport(report: OomReport): string {
  return `${JSON.stringify(report, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value), 2)}\n`;
}

type Fields = Record<string, unknown>;

const numbers = (fields: Fields): Record<string, bigint> =>
  Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, BigInt(value as string)]));

/** Fields of a newer version that are not known are left out, missing ones get their default. */
export function parseReport(text: string): OomReport {
  try {
    const fields = JSON.parse(text) as Fields;
    for (const name of ["sequence", "kills", "limitBytes", "usageBytes", "peakBytes"]) revive(fields, name);
    for (const name of counterMaps) fields[name] = numbers((fields[name] ?? {}) as Fields);
    const detectedAt = fields.detectedAt as Fields | undefined;
    if (detectedAt) revive(detectedAt, "seconds");
    for (const victim of (fields.victims ?? []) as Fields[]) {
      for (const name of ["totalVm", "anonRss", "fileRss", "shmemRss"]) revive(victim, name);
    }
    for (const level of (fields.levels ?? []) as Fields[]) {
      revive(level, "limitBytes");
      revive(level, "usageBytes");
      level.countersBefore = numbers((level.countersBefore ?? {}) as Fields);
      level.countersAfter = numbers((level.countersAfter ?? {}) as Fields);
    }
    return OomReport.fromPartial(fields as Partial<OomReport>);
  } catch (error) {
    throw new VigilError("data_loss", "malformed OOM report", { cause: error });
  }
}

function revive(fields: Fields, name: string): void {
  if (fields[name] !== undefined) fields[name] = BigInt(fields[name] as string);
}
