import type { Controller } from "./controller.js";

export const pids: Controller = {
  name: "pids",
  member: "pids",
  writes({ pids }) {
    const limit = pids?.limit;
    if (limit === undefined) return [];
    if (limit < 0n) return [{ file: "pids.max", value: "max" }];
    // Nothing can run in a cgroup of no tasks, and systemd knows no 0: one, as runc does with both drivers.
    return [{ file: "pids.max", value: String(limit === 0n ? 1n : limit) }];
  },
};
