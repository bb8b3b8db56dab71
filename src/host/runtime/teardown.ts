import { VigilError } from "../../base/errors.js";
import { type Placement, placeOf } from "../cgroup/placement.js";

const counters = { 1: "memory.oom_control", 2: "memory.events" } as const;

/** The teardown record (native/lib/teardown.h): what `delete` needs to bury the container without Node and without the bundle. */
export function teardownRecord(placement: Placement, mountPoint: string | undefined): string {
  const memory = placeOf(placement, "memory");
  const lines = [
    "vigil-teardown 1",
    ...placement.places.map(({ version, directory }) => `cgroup ${version} ${directory}`),
    ...(memory ? [`memory ${memory.version} ${memory.directory}/${counters[memory.version]} oom_kill 0`] : []),
    ...(mountPoint === undefined ? [] : [`mount ${mountPoint}`]),
  ];
  const broken = lines.find((line) => line.includes("\n"));
  if (broken !== undefined) {
    throw new VigilError("invalid_argument", `${JSON.stringify(broken)}: a path with a newline in it`);
  }
  return `${lines.join("\n")}\n`;
}
