// The parts of vigil die, one at a time, while containerd uses them. containerd must not notice the daemon's death,
// and must get everything it is owed after the core's.
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bed, chosenVersions, seconds, stockRuntime } from "../support/bed.js";
import { eventually } from "../support/command.js";
import { daemonFor, daemonOf, initPid, supervisorOf } from "../support/container-processes.js";
import { type Containerd, startContainerd } from "../support/containerd.js";
import { gist } from "../support/ctr-events.js";
import { leftSince, takeSnapshot } from "../support/leftovers.js";
import { alive, killNow } from "../support/process-tree.js";
import { seededRandom } from "../support/seeded-random.js";
import { killDaemonLater } from "./daemon-killer.js";
import { progress } from "./report.js";

const times = Number(process.env.VIGIL_RESTART_RUNS ?? "100");
const stock = bed.runtime === stockRuntime;
const why = "the stock shim is one process: when it dies, its container is lost";

/** 2 000 lines and a status: incomplete output or a repeated start would show. */
const lines = Array.from({ length: 2000 }, (_, at) => String(at + 1)).join("\n");
const script = "seq 1 1000; sleep 0.1; seq 1001 2000; exit 21";

/** containerd notes the end of every connection; before the task's deletion it means that it lost the shim. */
function disconnectedTooEarly(log: string, { events }: Containerd): string[] {
  return log.split("\n").filter((line) => {
    const [, id = ""] = /msg="shim disconnected" id=(\S+)/.exec(line) ?? [];
    if (id === "") return false;
    return !events.ofContainer(id).some((event) => event.topic === "/tasks/delete");
  });
}

describe.each(chosenVersions())("containerd %s", (version) => {
  let containerd: Containerd;
  let before: readonly string[];

  beforeAll(async () => {
    containerd = await startContainerd(version);
    before = await takeSnapshot(containerd);
  });
  afterAll(async () => {
    await containerd.close();
  });

  const oci = () => containerd.ociFlags(bed.runtime, "run");
  const flags = () => ["--runtime", bed.runtime, ...oci(), "--fifo-dir", join(containerd.base, "fifo"), "--rootfs"];
  const fifos = () => ["--fifo-dir", join(containerd.base, "fifo")];
  /** A daemon that dies between sending an event and noting the answer sends it again: the next one, once, the same. */
  const once = (events: readonly string[]) => events.filter((text, at) => text !== events[at - 1]);
  const tasks = (id: string) =>
    containerd.events
      .ofContainer(id)
      .filter((event) => event.topic.startsWith("/tasks/"))
      .map((event) => gist(event, id));
  const want = async (args: readonly string[], code: number, stdout?: string) => {
    const result = await containerd.ctr(args, { limitMs: seconds(60) });
    const seen = { code: result.code, stdout: result.stdout.toString().trim() };
    expect(seen, `ctr ${args.join(" ")}: ${result.stderr}`).toEqual({ code, stdout: stdout ?? seen.stdout });
  };
  const until = (id: string, text: string) =>
    containerd.events.until(`${text} of ${id}`, (event) => event.body.container_id === id && gist(event, id) === text);

  const foreground = async (id: string) => {
    await want(["run", "--rm", ...flags(), containerd.rootfs, id, "/bin/sh", "-c", script], 21, lines);
    await until(id, "/tasks/delete 21");
    expect(once(tasks(id))).toEqual(["/tasks/create", "/tasks/start", "/tasks/exit init 21", "/tasks/delete 21"]);
    expect(tasks(id).length).toBeLessThanOrEqual(5);
  };
  const background = async (id: string) => {
    await want(["run", "-d", ...flags(), containerd.rootfs, id, "/bin/sleep", "1000"], 0);
    await want(["task", "exec", ...fifos(), "--exec-id", "e1", id, "/bin/sh", "-c", script], 21, lines);
    await want(["task", "pause", id], 0);
    await want(["task", "resume", id], 0);
    await want(["task", "kill", "-s", "SIGKILL", id], 0);
    await until(id, "/tasks/exit init 137");
    await want(["task", "delete", id], 0);
    await want(["container", "delete", id], 0);
    await until(id, "/tasks/delete 137");
    const exec = ["/tasks/exec-added e1", "/tasks/exec-started e1", "/tasks/exit e1 21"];
    const rest = ["/tasks/paused", "/tasks/resumed", "/tasks/exit init 137", "/tasks/delete 137"];
    expect(once(tasks(id))).toEqual(["/tasks/create", "/tasks/start", ...exec, ...rest]);
    expect(tasks(id).length).toBeLessThanOrEqual(10);
  };

  test(
    "the daemon is killed at random moments",
    async ({ skip }) => {
      if (stock) skip(why);
      const random = seededRandom();
      progress(`kill  VIGIL_SEED=${random.seed}`);
      const phases = new Map<string, number>();
      const wrong: string[] = [];
      let shots = 0;
      // How long each kind takes without disturbance, so that the moments are spread over the whole of it.
      const measure = async (work: Promise<void>) => {
        const begin = performance.now();
        await work;
        return performance.now() - begin;
      };
      const lasted = [await measure(foreground("calm0")), await measure(background("calm1"))] as const;
      for (let at = 0; at < times; at++) {
        const long = at % 2 === 1;
        const id = `k${at}`;
        const afterMs = random.below(lasted[long ? 1 : 0]);
        const over = new AbortController();
        const killer = killDaemonLater(containerd, id, afterMs, over.signal);
        try {
          await (long ? background(id) : foreground(id));
        } catch (error) {
          const shown = error instanceof Error ? error.message : String(error);
          wrong.push(
            `${id} (${long ? "background" : "foreground"}, daemon killed after ${afterMs} ms): ${shown}; events: ${tasks(id).join(", ")}`,
          );
          progress(`      ${wrong.at(-1)}`);
          await containerd.ctr(["task", "delete", "--force", id]);
          await containerd.ctr(["container", "delete", id]);
        } finally {
          over.abort();
        }
        const shot = await killer;
        if (shot !== undefined) {
          shots++;
          phases.set(shot.lastEvent, (phases.get(shot.lastEvent) ?? 0) + 1);
        }
        if ((at + 1) % 10 === 0)
          progress(`kill  daemon, containerd ${version}: ${at + 1}/${times}, ${shots} hit, ${wrong.length} wrong`);
      }
      progress(
        `kill  newest event at the kill: ${[...phases].map(([topic, count]) => `${topic} ${count}`).join(", ")}`,
      );
      expect(wrong, `VIGIL_SEED=${random.seed}`).toEqual([]);
      expect(shots, "kills that found a daemon").toBeGreaterThanOrEqual(times / 3);
      expect(disconnectedTooEarly(await containerd.log(), containerd)).toEqual([]);
    },
    times * 20_000 * bed.slowness,
  );

  test("the daemon is killed between two requests, again and again", async ({ skip }) => {
    if (stock) skip(why);
    await want(["run", "-d", ...flags(), containerd.rootfs, "again", "/bin/sleep", "1000"], 0);
    const core = await supervisorOf(containerd, "again");
    for (let at = 0; at < 5; at++) {
      const daemon = daemonOf(core);
      if (daemon !== undefined) killNow(daemon.pid);
      await want(["task", "exec", ...fifos(), "--exec-id", "e", "again", "/bin/echo", String(at)], 0, String(at));
    }
    expect(await supervisorOf(containerd, "again")).toBe(core);
    expect(disconnectedTooEarly(await containerd.log(), containerd)).toEqual([]);
    await want(["task", "delete", "--force", "again"], 0);
    await want(["container", "delete", "again"], 0);
  });

  test("the core is killed", async ({ skip }) => {
    if (stock) skip(why);
    await want(["run", "-d", ...flags(), containerd.rootfs, "core", "/bin/sh", "-c", "sleep 1000 & sleep 1000"], 0);
    const init = await initPid(containerd, "core");
    const core = await supervisorOf(containerd, "core");
    const daemon = await daemonFor(core);
    killNow(core);
    await until("core", "/tasks/delete 137");
    expect(tasks("core")).toEqual(["/tasks/create", "/tasks/start", "/tasks/exit init 137", "/tasks/delete 137"]);
    await eventually("container and daemon are gone", () => (alive(init) || alive(daemon.pid) ? undefined : true));
    await want(["container", "delete", "core"], 0);
    expect(await containerd.log()).toMatch(/shim disconnected/);
  });

  test("nothing is left over", async () => {
    expect(await leftSince(before, containerd)).toEqual([]);
  });
});
