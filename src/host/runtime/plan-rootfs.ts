import { VigilError } from "../../base/errors.js";
import type { MountSpec } from "../../task/ports.js";
import { mkdir, mount, type Op } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import { MS, parseMountOptions } from "./mount-options.js";

const rootfsMode = 0o711;

// Understood by containerd's own mount package and not by a file system.
const idMapping = /^(uidmap|gidmap)=/;

function planMount(spec: MountSpec, index: number, root: string): Op {
  const at = `rootfs[${index}]`;
  if (spec.type === "") refuse(`${at}.type`, "must not be empty");
  const { flags, propagation, attributes, data, special } = parseMountOptions(spec.options);
  const foreign = data.find((option) => option.startsWith("X-containerd."));
  // Notes for containerd's mount manager, which should have taken them away.
  if (foreign !== undefined) refuse(`${at}.options`, `${JSON.stringify(foreign)} cannot be handled by a runtime`);
  // Attached by whoever mounts, which is the core's helper: it finds the word among the file system's own options.
  const loop = [...special].filter((option) => option === "loop");
  const refused = [...special, ...data.filter((option) => idMapping.test(option))].filter((o) => o !== "loop");
  if (attributes.clear !== 0n) refused.push("recursive attributes");
  if (refused.length > 0) {
    throw new VigilError("unimplemented", `${at}.options: ${refused.join(", ")}: not implemented`);
  }
  if (/^fuse3?\./.test(spec.type)) {
    throw new VigilError("unimplemented", `${at}.type: ${spec.type}: mount helpers are not implemented`);
  }
  return mount({
    type: spec.type,
    source: spec.source,
    root,
    target: spec.target === "" ? "/" : spec.target,
    flags: spec.type === "bind" ? flags | MS.BIND : flags,
    propagation,
    data: [...data, ...loop].join(","),
  });
}

/** The root file system's mounts of the Create request, onto BUNDLE/rootfs. */
export function planRootfs(mounts: readonly MountSpec[], mountPoint: string): Op[] {
  if (mounts.length === 0) return [];
  return [mkdir(mountPoint, rootfsMode), ...mounts.map((spec, index) => planMount(spec, index, mountPoint))];
}
