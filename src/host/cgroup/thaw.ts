import { cgroupFreeze, type Op } from "../core/ops.js";
import { readKernelFile } from "./files.js";
import { freezerPlace, type Placement } from "./placement.js";

export const freezeTimeoutMs = 10_000;

/** On v1 a frozen process does not die before it is thawed (freezer-subsystem.rst). Nothing where it is not so. */
export function thawForDeath(placement: Placement): Op[] {
  const place = freezerPlace(placement);
  if (place?.version !== 1) return [];
  if (readKernelFile(`${place.directory}/freezer.state`)?.trim() !== "FROZEN") return [];
  return [cgroupFreeze(1, place.directory, false, freezeTimeoutMs)];
}
