import { VigilError } from "../../base/errors.js";
import { Metrics as MetricsV1 } from "../../gen/containerd/cgroups/v1/metrics.js";
import { Metrics as MetricsV2 } from "../../gen/containerd/cgroups/v2/metrics.js";
import type { ContainerStats } from "../../task/ports.js";
import { readKernelFile } from "./files.js";
import { hugepageSizes } from "./hugepages.js";
import { type Placement, placeOf, processPlace } from "./placement.js";
import { statsV1 } from "./stats-v1.js";
import { statsV2 } from "./stats-v2.js";

/** A container's statistics as containerd's message for the host's kind of cgroups. */
export function readStats(placement: Placement): ContainerStats {
  const main = processPlace(placement);
  if (!main || readKernelFile(`${main.directory}/cgroup.procs`) === undefined) {
    throw new VigilError("not_found", "cgroup does not exist");
  }
  if (placement.mode === "v2") {
    const metrics = statsV2((file) => readKernelFile(`${main.directory}/${file}`), hugepageSizes());
    return { typeUrl: MetricsV2.$type, value: MetricsV2.encode(metrics).finish() };
  }
  const metrics = statsV1((controller, file) => {
    const place = placeOf(placement, controller);
    return place && readKernelFile(`${place.directory}/${file}`);
  }, hugepageSizes());
  return { typeUrl: MetricsV1.$type, value: MetricsV1.encode(metrics).finish() };
}
