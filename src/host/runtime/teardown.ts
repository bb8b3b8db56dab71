import { VigilError } from "../../base/errors.js";
import { type Placement, placeOf } from "../cgroup/placement.js";
import type { Op } from "../core/ops.js";

const counters = { 1: "memory.oom_control", 2: "memory.events" } as const;

/** VG_TEARDOWN_MAX without what the core adds: pid, journal, last fact. */
const longest = (1 << 20) - 8192;

/** What an OCI runtime has of a container, beside its cgroups. */
export interface RuntimeRemains {
  /** The command that ends it. */
  readonly argv: readonly string[];
  readonly directory: string;
}

/** The teardown record (native/lib/teardown.h): what `delete` needs to bury the container without Node and without the bundle. */
export function teardownRecord(
  placement: Placement | undefined,
  mountPoint: string | undefined,
  { poststop = [], remains }: { readonly poststop?: readonly Op[]; readonly remains?: RuntimeRemains } = {},
): string {
  const memory = placement && placeOf(placement, "memory");
  const lines = [
    "vigil-teardown 1",
    ...(remains ? remains.argv.map((word) => `runtime ${word}`) : []),
    ...(placement?.places ?? []).map(({ version, directory }) => `cgroup ${version} ${directory}`),
    ...(memory ? [`memory ${memory.version} ${memory.directory}/${counters[memory.version]} oom_kill 0`] : []),
    ...(mountPoint === undefined ? [] : [`mount ${mountPoint}`]),
    ...poststop.map(({ payload }) => `hook ${Buffer.from(payload).toString("hex")}`),
    ...(remains ? [`directory ${remains.directory}`] : []),
  ];
  const broken = lines.find((line) => line.includes("\n"));
  if (broken !== undefined) {
    throw new VigilError("invalid_argument", `${JSON.stringify(broken)}: a path with a newline in it`);
  }
  const record = `${lines.join("\n")}\n`;
  if (record.length > longest) {
    throw new VigilError(
      "resource_exhausted",
      `hooks.poststop: ${record.length} bytes are too many to be kept for delete`,
    );
  }
  return record;
}
