import type { Resources } from "../../oci/resources.js";

/** One value for one file of the container's cgroup. */
export interface CgroupWrite {
  readonly file: string;
  readonly value: string;
  /** The kernel may refuse it, or not have the file. */
  readonly optional?: true;
  /** What to add to the kernel's words when it fails. */
  readonly hint?: string;
}

/** What a controller may look at to choose its writes. */
export interface ControllerView {
  readonly version: 1 | 2;
  /** JSON path of the resources, for messages. */
  readonly path: string;
  /** A file of the container's own cgroup as it is now; undefined before the cgroup exists. */
  read(file: string): string | undefined;
  /** Whether this kernel has the file; true when there is nothing to tell it by. */
  has(file: string): boolean;
  /** A setting that has no effect here. */
  warn(message: string): void;
}

export interface Controller {
  /** The kernel's name on v1. */
  readonly name: string;
  /** The member of `linux.resources`. */
  readonly member: keyof Resources;
  writes(resources: Resources, view: ControllerView): CgroupWrite[];
}
