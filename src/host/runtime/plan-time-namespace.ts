import { type Op, timeNamespace } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import type { LinuxSpec } from "../oci/spec.js";
import type { NamespacePlan } from "./plan-namespaces.js";

const path = "config.json: linux.timeOffsets";
// The two that a time namespace has, time_namespaces(7).
const clocks: ReadonlySet<string> = new Set(["monotonic", "boottime"]);

/** Made by the child, not by clone3: offsets can be set only before somebody is in it. */
export function planTimeNamespace({ timeOffsets }: LinuxSpec, namespaces: NamespacePlan): Op[] {
  if (!namespaces.isNew("time")) {
    if (timeOffsets.size > 0) refuse(path, "needs a new time namespace in linux.namespaces");
    return [];
  }
  const lines = [...timeOffsets].map(([clock, { secs, nanosecs }]) => {
    if (!clocks.has(clock)) refuse(path, `${JSON.stringify(clock)} is none of ${[...clocks].join(", ")}`);
    return `${clock} ${secs} ${nanosecs}\n`;
  });
  return [timeNamespace(lines.join(""))];
}
