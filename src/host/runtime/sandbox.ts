import { VigilError } from "../../base/errors.js";
import type { SandboxRuntime } from "../../task/ports.js";
import { detectCgroups } from "../cgroup/detect.js";
import { placementOf } from "../cgroup/placement.js";
import { readStats } from "../cgroup/stats.js";
import type { SandboxCommands } from "../core/commands.js";
import { runtimeFailure } from "./failure.js";

/** Pods whose namespaces the core itself holds; whichever runtime makes their containers. */
export function createSandboxRuntime(core: SandboxCommands): SandboxRuntime {
  return {
    async enter(key, sandbox) {
      try {
        await core.sandbox(`${key}/sandbox`, sandbox);
      } catch (thrown) {
        throw runtimeFailure("sandbox", thrown);
      }
    },

    async stats({ id, cgroupParent }) {
      // A slice of systemd's is a name and no path.
      if (!cgroupParent.startsWith("/")) {
        throw new VigilError("unimplemented", `sandbox ${id}: its cgroup is not known by a path`);
      }
      return readStats(placementOf(detectCgroups(), cgroupParent));
    },
  };
}
