// `ctr run --rm` from the first process to the last: what a person at a terminal waits for.
import type { Containerd } from "../support/containerd.js";
import { inTurns, type Runtimes, type Series, series } from "./measure.js";

export async function wallTime(containerd: Containerd, use: Runtimes, times: number): Promise<Series[]> {
  const whole = series("`ctr run --rm … true`", "ms");
  await inTurns("wall time", times, async (side, id) => {
    const begin = performance.now();
    const { code, stderr } = await containerd.ctr([
      "run",
      "--rm",
      "--runtime",
      use[side],
      "--rootfs",
      containerd.rootfs,
      id,
      "/bin/true",
    ]);
    if (code !== 0) throw new Error(`${use[side]}: ${stderr}`);
    whole[side].push(performance.now() - begin);
  });
  return [whole];
}
