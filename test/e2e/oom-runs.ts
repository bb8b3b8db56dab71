// Repeating a kill many times and judging the events of each time.
import { seconds } from "../support/bed.js";
import type { Containerd } from "../support/containerd.js";
import { containerOf, gist } from "../support/ctr-events.js";
import { progress } from "./report.js";

/** Twenty megabytes: room for a busybox shell, not for what `tail` collects of /dev/zero. */
export const limitBytes = "20000000";
export const eat = ["/bin/tail", "/dev/zero"] as const;

export function runOptions(containerd: Containerd, runtime: string): string[] {
  const oci = containerd.ociFlags(runtime, "run");
  return [
    "--runtime",
    runtime,
    ...oci,
    "--fifo-dir",
    `${containerd.base}/fifo`,
    "--memory-limit",
    limitBytes,
    "--rootfs",
  ];
}

/** Waits until the container's last event is there, then returns the gist of all of them. */
export async function finalEvents(containerd: Containerd, id: string, last: string): Promise<string[]> {
  const { events } = containerd;
  await events.until(`${last} of ${id}`, (event) => event.topic === last && containerOf(event) === id, seconds(10));
  return events
    .ofContainer(id)
    .filter((event) => event.topic.startsWith("/tasks/"))
    .map((event) => gist(event, id));
}

/** What is wrong with the events of a container that lost one process: one oom, before the exit that it explains. */
export function verdict(events: readonly string[], victimExit: RegExp): string | undefined {
  const ooms = events.filter((text) => text === "/tasks/oom").length;
  if (ooms !== 1) return `${ooms} oom events: ${events.join(", ")}`;
  const exit = events.findIndex((text) => victimExit.test(text));
  if (exit < 0) return `no exit like ${victimExit}: ${events.join(", ")}`;
  return events.indexOf("/tasks/oom") < exit ? undefined : `oom after exit: ${events.join(", ")}`;
}

/** Runs `once` that many times and returns what went wrong, one line each. */
export async function repeat(
  containerd: Containerd,
  name: string,
  times: number,
  once: (id: string, at: number) => Promise<string | undefined>,
): Promise<string[]> {
  const wrong: string[] = [];
  const prefix = name.replaceAll(/[^a-z]/g, "").slice(0, 6);
  const begin = performance.now();
  for (let at = 0; at < times; at++) {
    const id = `${prefix}${at}`;
    let fault: string | undefined;
    try {
      fault = await once(id, at);
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
      await containerd.ctr(["task", "delete", "--force", id]);
      await containerd.ctr(["container", "delete", id]);
    }
    if (fault !== undefined) {
      wrong.push(`${id}: ${fault}`);
      progress(`      ${id}: ${fault}`);
    }
    if ((at + 1) % 20 === 0 || at + 1 === times) {
      const each = ((performance.now() - begin) / (at + 1)).toFixed(0);
      progress(`oom   ${name}: ${at + 1}/${times}, ${wrong.length} wrong, ${each} ms each`);
    }
  }
  return wrong;
}
