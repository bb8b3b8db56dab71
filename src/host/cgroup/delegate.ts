import { VigilError } from "../../base/errors.js";
import { type Op, optional, withHint, write } from "../core/ops.js";
import { readKernelFile } from "./files.js";
import { ancestors } from "./path.js";
import { mayDelegate } from "./permitted.js";
import type { Place } from "./placement.js";

const words = (text: string | undefined): string[] => text?.split(/\s+/).filter((word) => word !== "") ?? [];

// cgroup-v2.rst, "No Internal Process Constraint". Only the real root is exempt, and only it has no cgroup.type.
function holdsProcesses(directory: string): boolean {
  const root = readKernelFile(`${directory}/cgroup.type`) === undefined;
  return !root && words(readKernelFile(`${directory}/cgroup.procs`)).length > 0;
}

const internalProcesses =
  "a cgroup with processes of its own cannot turn controllers on for its children (cgroup-v2.rst, No Internal Process Constraint)";

/** Why controllers cannot be turned on for the children of a cgroup. */
function refusal(directory: string): string | undefined {
  if (holdsProcesses(directory)) return internalProcesses;
  // One that is still to be made is its maker's.
  const made = readKernelFile(`${directory}/cgroup.subtree_control`) !== undefined;
  return made && !mayDelegate(directory) ? "this user may not" : undefined;
}

function enabling(directory: string, missing: readonly string[], needed: ReadonlySet<string>): Op[] {
  const file = `${directory}/cgroup.subtree_control`;
  const enable = (names: readonly string[]): Op =>
    withHint(write(file, names.map((name) => `+${name}`).join(" ")), internalProcesses);
  // Memory is watched whether it is limited or not.
  const isMust = (name: string): boolean => needed.has(name) || name === "memory";
  const musts = missing.filter(isMust);
  const others = missing.filter((name) => !isMust(name));
  // One write is all or nothing: after it those that matter, then each of the others for itself.
  return [
    ...(others.length > 0 && missing.length > 1 ? [optional(enable(missing))] : []),
    ...(musts.length > 0 ? [enable(musts)] : []),
    ...others.map((name) => optional(enable([name]))),
  ];
}

export interface Delegation {
  readonly ops: Op[];
  /** Controllers that the container's cgroup will have. */
  readonly controllers: readonly string[];
}

/**
 * Turns the root's controllers on for every cgroup down to the container's (v2). An ancestor with processes of its own can
 * turn none on: what the container needs is then an error, the rest goes without.
 */
export function delegateControllers(place: Place, path: string, needed: ReadonlySet<string>): Delegation {
  let offered = place.controllers;
  const ops: Op[] = [];
  for (const directory of [place.mountPoint, ...ancestors(place.mountPoint, path)]) {
    const enabled = words(readKernelFile(`${directory}/cgroup.subtree_control`));
    const missing = offered.filter((name) => !enabled.includes(name));
    if (missing.length === 0) continue;
    const refused = refusal(directory);
    if (refused === undefined) {
      ops.push(...enabling(directory, missing, needed));
      continue;
    }
    const lost = missing.filter((name) => needed.has(name));
    if (lost.length > 0) {
      throw new VigilError(
        "failed_precondition",
        `cannot turn on ${lost.join(", ")} in ${directory}/cgroup.subtree_control: ${refused}`,
      );
    }
    offered = offered.filter((name) => enabled.includes(name));
  }
  return { ops, controllers: offered };
}
