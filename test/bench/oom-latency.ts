// From the kernel's choice of a victim to the events that a client of containerd receives.
import type { Containerd } from "../support/containerd.js";
import { inTurns, type Runtimes, type Series, type Side, series } from "./measure.js";
import { subscribe } from "./subscriber.js";
import { watchVictims } from "./victims.js";

export async function oomLatency(containerd: Containerd, use: Runtimes, times: number): Promise<Series[]> {
  const oom = series("kill → `/tasks/oom`", "ms");
  const exit = series("kill → `/tasks/exit`", "ms");
  const victims = watchVictims();
  if (victims === undefined) {
    oom.notes.push("no tracefs here, so the true time of the kills is unknown: not measured");
    return [oom];
  }
  const missed: Record<Side, number> = { stock: 0, tested: 0 };
  const late: Record<Side, number> = { stock: 0, tested: 0 };
  const events = subscribe(containerd.socket);
  const milliseconds = (from: bigint, to: bigint) => Number(to - from) / 1e6;
  try {
    await inTurns("oom latency", times, async (side, id) => {
      await containerd.ctr([
        "run",
        "--rm",
        "--runtime",
        use[side],
        "--memory-limit",
        "20000000",
        "--rootfs",
        containerd.rootfs,
        id,
        "/bin/tail",
        "/dev/zero",
      ]);
      const ended = await events.until(id, "/tasks/exit", 10_000);
      const killed = victims.timeOf(ended.pid);
      if (killed === undefined) throw new Error(`the kernel did not kill the first process of ${id}`);
      exit[side].push(milliseconds(killed, ended.atNs));
      const told = await events.until(id, "/tasks/oom", 1000).catch(() => undefined);
      if (told === undefined) missed[side]++;
      else oom[side].push(milliseconds(killed, told.atNs));
      if (told !== undefined && told.atNs > ended.atNs) late[side]++;
    });
  } finally {
    events.close();
    victims.close();
  }
  for (const side of ["stock", "tested"] as const) {
    oom.notes.push(`${side}: ${missed[side]} of ${times} missing, ${late[side]} after the exit`);
  }
  return [oom, exit];
}
