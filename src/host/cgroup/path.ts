import { VigilError } from "../../base/errors.js";
import { refuse } from "../oci/check.js";

const at = "config.json: linux.cgroupsPath";

/**
 * The container's path below the root of every hierarchy, absolute. A relative `cgroupsPath` starts at vigil's own part of the
 * tree (the specification leaves its place to the runtime).
 */
export function cgroupPath(cgroupsPath: string, namespace: string, id: string): string {
  if (cgroupsPath === "") return `/vigil/${namespace}/${id}`;
  if (!cgroupsPath.startsWith("/") && cgroupsPath.split(":").length === 3) {
    throw new VigilError(
      "unimplemented",
      `${at}: ${JSON.stringify(cgroupsPath)}: the systemd driver is not implemented`,
    );
  }
  const absolute = cgroupsPath.startsWith("/") ? cgroupsPath : `/vigil/${cgroupsPath}`;
  const names = absolute.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) refuse(at, `${JSON.stringify(cgroupsPath)} leaves its hierarchy`);
  if (/[\n\0]/.test(cgroupsPath)) refuse(at, `${JSON.stringify(cgroupsPath)} has a newline in it`);
  // Everything of the host is below the root, and what is in a container's cgroup is killed with it.
  if (names.length === 0) refuse(at, "a container cannot have the root cgroup");
  return `/${names.join("/")}`;
}

/** The cgroups above, from the one below the hierarchy's root downwards; the container's own is not among them. */
export function ancestors(mountPoint: string, path: string): string[] {
  const names = path.split("/").slice(1, -1);
  return names.map((_, index) => `${mountPoint}/${names.slice(0, index + 1).join("/")}`);
}
