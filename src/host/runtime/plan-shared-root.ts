import { VigilError } from "../../base/errors.js";
import { type Bundle, rootDirectory } from "../bundle.js";
import { isMountPoint } from "../cgroup/detect.js";
import { mount, type Op } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import { MS } from "./mount-options.js";
import type { NamespacePlan } from "./plan-namespaces.js";

export interface SharedRoot {
  readonly ops: Op[];
  /** Where the bind is; empty: the container has a mount namespace, and there is none. */
  readonly path: string;
  /** The same if nothing else is mounted there: then all at and below it can go. */
  readonly alone: string;
}

/**
 * Without a mount namespace of its own a container's mounts are in its caller's, and a chroot is its root, as with runc. Its root is
 * bound onto itself first, so that one unmount takes them all away again; and that bind is private, so that nobody else gets them.
 */
export function planSharedRoot(bundle: Bundle, namespaces: NamespacePlan, mounted: boolean): SharedRoot {
  if (namespaces.has("mount")) return { ops: [], path: "", alone: "" };
  const { linux } = bundle.spec;
  // runc's words: what is hidden would be hidden from the host, too.
  for (const name of ["maskedPaths", "readonlyPaths"] as const) {
    if (linux[name].length > 0) {
      const why = "unable to restrict sys entries without a private MNT namespace";
      throw new VigilError("invalid_argument", `config.json: linux.${name}: ${why}`);
    }
  }
  if (linux.rootfsPropagation !== "") {
    refuse("config.json: linux.rootfsPropagation", "would be the host's without a mount namespace");
  }
  const root = rootDirectory(bundle, mounted);
  const bind = {
    type: "bind",
    source: root,
    root,
    target: "/",
    flags: MS.BIND | MS.REC,
    propagation: MS.PRIVATE | MS.REC,
    data: "",
  };
  return { ops: [mount(bind)], path: root, alone: mounted || isMountPoint(root) ? "" : root };
}
