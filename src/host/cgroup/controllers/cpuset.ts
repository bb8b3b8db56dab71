import type { Controller, ControllerView } from "./controller.js";

/** v1 mounted with `noprefix` (as Android does) has plain names. */
export function cpusetFile(name: "cpus" | "mems", view: Pick<ControllerView, "version" | "has">): string {
  return view.version === 2 || view.has(`cpuset.${name}`) ? `cpuset.${name}` : name;
}

export const cpuset: Controller = {
  name: "cpuset",
  member: "cpu",
  writes({ cpu }, view) {
    return (["cpus", "mems"] as const)
      .filter((name) => cpu?.[name])
      .map((name) => ({ file: cpusetFile(name, view), value: cpu?.[name] ?? "" }));
  },
};
