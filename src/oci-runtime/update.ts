import { readFileSync } from "node:fs";
import { VigilError } from "../base/errors.js";
import { openContainer } from "./container.js";
import type { Context } from "./context.js";

export interface UpdateOptions {
  /** A file with the OCI resources object, `-` for standard input; then the others are not read. */
  readonly resources?: string;
  readonly blkioWeight?: number;
  readonly cpuPeriod?: number;
  readonly cpuQuota?: number;
  readonly cpuShare?: number;
  readonly cpuRtPeriod?: number;
  readonly cpuRtRuntime?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly memory?: number;
  readonly memoryReservation?: number;
  readonly memorySwap?: number;
  readonly pidsLimit?: number;
}

function given(values: Readonly<Record<string, unknown>>): object | undefined {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

/** The options in the form of `linux.resources` of the specification. */
export function resourcesOf(options: UpdateOptions): object {
  return (
    given({
      memory: given({
        limit: options.memory,
        reservation: options.memoryReservation,
        swap: options.memorySwap,
      }),
      cpu: given({
        shares: options.cpuShare,
        quota: options.cpuQuota,
        period: options.cpuPeriod,
        realtimeRuntime: options.cpuRtRuntime,
        realtimePeriod: options.cpuRtPeriod,
        cpus: options.cpusetCpus,
        mems: options.cpusetMems,
      }),
      pids: given({ limit: options.pidsLimit }),
      blockIO: given({ weight: options.blkioWeight }),
    }) ?? {}
  );
}

/** Changes limits of a container; on failure the old ones stay. */
export async function update(context: Context, id: string, options: UpdateOptions): Promise<void> {
  const container = openContainer(context, id);
  if (container.status() === "stopped") throw new VigilError("failed_precondition", "container not running");
  const { resources } = options;
  const text =
    resources === undefined
      ? JSON.stringify(resourcesOf(options))
      : readFileSync(resources === "-" ? 0 : resources, "utf8");
  await container.runtime().port.update("", container, text);
}
