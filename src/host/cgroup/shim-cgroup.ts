import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { VigilError } from "../../base/errors.js";
import { detectCgroups } from "./detect.js";
import { placementOf } from "./placement.js";

/**
 * Moves the shim's own processes into the cgroup that the option ShimCgroup names, in every hierarchy that has it. As with
 * containerd's shim somebody else has made it. What the shim starts from then on begins there, and containers leave for their own.
 */
export function joinShimCgroup(path: string, pids: readonly number[]): void {
  const option = `options.ShimCgroup: ${JSON.stringify(path)}`;
  if (path.split("/").includes("..")) throw new VigilError("invalid_argument", `${option} must not have ".."`);
  const host = detectCgroups();
  // As containerd's shim: where both versions are mounted, version 1 is meant.
  const version = host.mode === "v2" ? 2 : 1;
  const { places } = placementOf(host, join("/", path));
  const there = places.filter((place) => place.version === version && existsSync(place.directory));
  if (there.length === 0)
    throw new VigilError("not_found", `${option}: no cgroup of that name; it has to be made before`);
  for (const { directory } of there) {
    const file = join(directory, "cgroup.procs");
    for (const pid of pids) {
      try {
        writeFileSync(file, String(pid));
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        throw new VigilError("failed_precondition", `${option}: cannot join: write ${pid} to ${file}: ${code}`, {
          cause,
        });
      }
    }
  }
}
