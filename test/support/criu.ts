// A CRIU that can work on this machine's kernel.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { bed } from "./bed.js";

export interface Criu {
  /** A search path that finds it first; undefined: there is none. */
  readonly path: string | undefined;
  /** What the last one said that was asked. */
  readonly why: string;
}

/** The machine's own, or the one that `bed.sh criu` has fetched. */
export function findCriu(): Criu {
  const own = process.env.PATH ?? "";
  let why = "";
  for (const path of [own, `${join(bed.cache, "criu")}:${own}`]) {
    const { status, stderr, error } = spawnSync("criu", ["check"], { env: { PATH: path }, encoding: "utf8" });
    if (status === 0) return { path, why: "" };
    why = error?.message ?? stderr.trim();
  }
  return { path: undefined, why };
}
