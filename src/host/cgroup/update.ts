import { type Op, optional, write } from "../core/ops.js";
import type { Resources } from "../oci/resources.js";
import { writeOp } from "./birth.js";
import { readKernelFile } from "./files.js";
import type { Placement } from "./placement.js";
import { type ResourceContext, resourceWrites } from "./resources.js";

export interface CgroupUpdate {
  readonly script: Op[];
  /** Puts back what the files said before, last first, so that each order rule holds on the way back too. */
  readonly undo: Op[];
}

// One line a write; an empty one too, as write(2) of no bytes never reaches the file.
function linesOf(text: string | undefined): string[] {
  return text === undefined
    ? []
    : text
        .trimEnd()
        .split("\n")
        .map((line) => line || "\n");
}

/** New limits for a container's cgroups. Device rules stay as they are: they are part of the container's make. */
export function planCgroupUpdate(placement: Placement, resources: Resources, given: ResourceContext): CgroupUpdate {
  const context = { ...given, unprivileged: placement.places.length === 0 };
  const writes = resourceWrites(placement, resources, context);
  const before = new Map(writes.map(({ path }) => [path, readKernelFile(path)]));
  return {
    script: writes.map(writeOp),
    undo: [...before].reverse().flatMap(([path, text]) => linesOf(text).map((line) => optional(write(path, line)))),
  };
}
