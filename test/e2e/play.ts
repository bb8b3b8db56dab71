// Plays one scenario with one runtime and tells what was seen.
import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bed, seconds, stockRuntime } from "../support/bed.js";
import { cpuQuotaFile, memoryDir, memoryFiles, memoryRoot } from "../support/cgroup-tree.js";
import {
  type CommandOptions,
  type CommandResult,
  eventually,
  type RunningCommand,
  runCommand,
  startCommand,
} from "../support/command.js";
import type { Namespace } from "../support/containerd.js";
import { containerOf, gist } from "../support/ctr-events.js";
import { leftSince, shimSocket, takeSnapshot } from "../support/leftovers.js";
import { errorKind, normalise, type Replacement } from "./normalise.js";
import type { CtrStep, HostStep, Scenario, Spec, SpecStep, Step } from "./scenario.js";

export interface SeenStep {
  readonly label: string;
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Seen {
  readonly steps: readonly SeenStep[];
  /** Per container, in the order of arrival. */
  readonly events: Readonly<Record<string, readonly string[]>>;
  readonly left: readonly string[];
  /** Containers without the last event of theirs. */
  readonly lost: readonly string[];
  /** What the scenario itself demands and did not get. */
  readonly broken: readonly string[];
}

const fixtures = join(bed.top, "test/e2e/fixtures");
const largeOutput = 64 * 1024;

class Player {
  readonly containerd: Namespace;
  readonly runtime: string;
  readonly id: string;
  readonly dir: string;
  readonly steps: SeenStep[] = [];
  readonly broken: string[] = [];
  #image = "";
  readonly #background = new Map<string, { step: CtrStep; running: RunningCommand }>();

  constructor(containerd: Namespace, runtime: string, id: string, dir: string) {
    this.containerd = containerd;
    this.runtime = runtime;
    this.id = id;
    this.dir = dir;
  }

  #fill(text: string): string {
    const cgroup = `/${this.containerd.namespace}/${this.id}`;
    return text
      .replaceAll("$LIMIT_FILE", join(memoryDir(cgroup), memoryFiles.limit))
      .replaceAll("$CPU_FILE", cpuQuotaFile(cgroup))
      .replaceAll("$MEMORY_ROOT", memoryRoot)
      .replaceAll("$FIXTURES", fixtures)
      .replaceAll("$IMAGE", this.#image)
      .replaceAll("$ROOTFS", this.containerd.rootfs)
      .replaceAll("$BUNDLE", this.containerd.bundle(this.id))
      .replaceAll("$BASE", this.dir)
      .replaceAll("$NS", this.containerd.namespace)
      .replaceAll("$ID", this.id);
  }

  #argv(step: CtrStep): string[] {
    const [verb = "", second = "", ...rest] = step.ctr.map((arg) => this.#fill(arg));
    const fifos = ["--fifo-dir", join(this.containerd.base, "fifo")];
    const args =
      verb === "run"
        ? [verb, "--runtime", this.runtime, ...this.containerd.ociFlags(this.runtime, verb), ...fifos, second, ...rest]
        : verb === "task" && second === "exec"
          ? [verb, second, ...fifos, ...rest]
          : verb === "container" && second === "create"
            ? [verb, second, "--runtime", this.runtime, ...this.containerd.ociFlags(this.runtime, verb), ...rest]
            : [verb, second, ...rest];
    const argv = this.containerd.ctrArgv(args.filter((arg, at) => arg !== "" || at > 2));
    if (step.terminal === undefined) return argv;
    const quoted = argv.map((arg) => `'${arg.replaceAll("'", "'\\''")}'`).join(" ");
    const { rows, columns } = step.terminal;
    return ["script", "-qec", `stty rows ${rows} cols ${columns}; exec ${quoted}`, "/dev/null"];
  }

  async step(step: Step): Promise<void> {
    if ("ctr" in step && step.ctr.includes("$IMAGE")) this.#image = await this.containerd.image();
    if ("ctr" in step) return await this.#ctr(step);
    if ("spec" in step) return await this.#spec(step);
    if ("host" in step) return await this.#host(step);
    if ("join" in step) return await this.#join(step.join);
    if ("signal" in step) {
      this.#background.get(step.to)?.running.child.kill(step.signal);
      return;
    }
    if ("restart" in step) {
      const { meanwhile } = step;
      return await this.containerd.restart(step.restart, async () => {
        if (meanwhile !== undefined) await this.#host(meanwhile);
      });
    }
    const { event } = step;
    if (step.vigilOnly === true && this.runtime === stockRuntime) return;
    const name = this.#fill(step.of ?? "$ID");
    const fits = (text: string) => (typeof event === "string" ? text === event : event.test(text));
    await this.containerd.events.until(
      `${event} of ${name}`,
      (record) => containerOf(record) === name && fits(gist(record, name)),
    );
  }

  async #ctr(step: CtrStep): Promise<void> {
    const running = startCommand(this.#argv(step), { env: this.containerd.env, ...this.#input(step) });
    if (step.background === undefined) this.#see(step, await running.result);
    else this.#background.set(step.background, { step, running });
  }

  /**
   * ctr forgets to pass the end of input on when it comes before the task exists, and a terminal's echo would be seen
   * twice before ctr has switched it off: so the end, and with a terminal all input, waits for the start.
   */
  #input(step: CtrStep): CommandOptions {
    const { stdin, terminal } = step;
    if (stdin === undefined && terminal === undefined) return {};
    const content = typeof stdin === "function" ? stdin() : (stdin ?? "");
    const from = this.containerd.events.records.length;
    const at = step.ctr.indexOf("--exec-id");
    const topic = at < 0 ? "/tasks/start" : `/tasks/exec-started ${step.ctr[at + 1]}`;
    const started = this.containerd.events.until(
      `${topic} of ${this.id}`,
      (event) =>
        this.containerd.events.records.indexOf(event) >= from &&
        containerOf(event) === this.id &&
        gist(event, this.id) === topic,
    );
    // A step that fails to start says so by its own exit status.
    const settled = started.catch(() => undefined);
    return terminal === undefined
      ? { stdin: content, stdinEnds: settled }
      : { stdin: content, stdinOpens: settled, stdinEnds: new Promise(() => {}) };
  }

  async #join(name: string): Promise<void> {
    const entry = this.#background.get(name);
    if (entry === undefined) throw new Error(`nothing named ${name} runs in the background`);
    this.#background.delete(name);
    this.#see(entry.step, await entry.running.result);
  }

  /** A spec as ctr makes it, changed by the scenario. */
  async #spec(step: SpecStep): Promise<void> {
    const { code, stdout, stderr } = await this.containerd.ctr(["oci", "spec"]);
    if (code !== 0) throw new Error(`ctr oci spec: ${stderr}`);
    const spec = JSON.parse(stdout.toString()) as Spec;
    spec.root = { path: this.containerd.rootfs, readonly: false };
    spec.process.args = step.command.map((arg) => this.#fill(arg));
    spec.process.terminal = false;
    spec.linux.cgroupsPath = `/${this.containerd.namespace}/${this.id}`;
    step.edit(spec, (text) => this.#fill(text));
    await writeFile(this.#fill(step.spec), JSON.stringify(spec));
  }

  async #host(step: HostStep): Promise<void> {
    const argv = step.host.map((arg) => this.#fill(arg));
    const { until } = step;
    const result =
      until === undefined
        ? await runCommand(argv)
        : await eventually(`${argv.join(" ")} prints ${until}`, async () => {
            const seen = await runCommand(argv);
            return until.test(seen.stdout.toString()) ? seen : undefined;
          });
    this.#see({ ctr: step.host, ...step }, result);
  }

  #see(step: CtrStep, result: CommandResult): void {
    const label = `step ${this.steps.length + 1}`;
    const { namespace, base, rootfs } = this.containerd;
    const replacements: Replacement[] = [
      [this.dir, "<BASE>"],
      [rootfs, "<ROOTFS>"],
      [base, "<CONTAINERD>"],
      [this.id, "<ID>"],
      [namespace, "<NS>"],
      [this.runtime, "<RUNTIME>"],
    ];
    const text = (output: Buffer) =>
      output.length > largeOutput
        ? `${output.length} bytes, sha256 ${createHash("sha256").update(output).digest("hex")}`
        : normalise(output.toString(), replacements);
    const plain = text(result.stdout);
    const stdout = step.mask === undefined ? plain : plain.replace(step.mask, "N");
    const stderr = text(result.stderr);
    const demand = (good: boolean, what: string) => {
      if (!good) this.broken.push(`${label} (${step.ctr.join(" ")}): ${what}; stdout: ${stdout} stderr: ${stderr}`);
    };
    const ours = bed.ours(this.runtime, this.containerd.oci);
    const { code = 0, err, out } = ours ? { ...step, ...step.vigil } : step;
    demand(code === "any" || result.code === code, `exit status ${result.code}, not ${code}`);
    demand(out === undefined || out.test(stdout), `stdout is not like ${out}`);
    demand(err === undefined || err.test(stderr), `stderr is not like ${err}`);
    this.steps.push({ label, code: result.code, stdout, stderr: step.errors === "kind" ? errorKind(stderr) : stderr });
  }

  async abandon(): Promise<void> {
    for (const { running } of this.#background.values()) {
      running.child.kill("SIGKILL");
      await running.result;
    }
    for (const id of [this.id, `${this.id}-b`]) {
      await this.containerd.ctr(["task", "delete", "--force", id]);
      await this.containerd.ctr(["container", "delete", id]);
    }
  }
}

export async function play(containerd: Namespace, runtime: string, scenario: Scenario, id: string): Promise<Seen> {
  const dir = join(containerd.base, id);
  await mkdir(dir);
  const { base, namespace, socket } = containerd;
  const sockets = [id, `${id}-b`].map((name) => shimSocket(socket, namespace, name));
  const owner = { base, namespace, sockets };
  const before = await takeSnapshot(owner);
  const player = new Player(containerd, runtime, id, dir);
  try {
    for (const step of scenario.steps) await player.step(step);
  } catch (error) {
    player.broken.push(error instanceof Error ? error.message : String(error));
    await player.abandon();
  }
  const broken = [...player.broken];
  const lost = await lostDeletes(containerd, id, seconds(runtime === stockRuntime ? 0.5 : 3));
  const left = await leftSince(before, owner);
  if (left.length > 0) await player.abandon();
  await rm(dir, { recursive: true });
  return {
    steps: player.steps,
    events: eventsOf(containerd, id),
    left: left.map((entry) => entry.replaceAll(id, "<ID>")),
    lost,
    broken,
  };
}

/** The shim publishes a task's delete after it answered, so it may come late; the stock shim sometimes loses it. */
async function lostDeletes(containerd: Namespace, id: string, limitMs: number): Promise<string[]> {
  const { events } = containerd;
  const lost: string[] = [];
  for (const name of [id, `${id}-b`]) {
    const ended = (kind: string) => () => {
      const topics = events.ofContainer(name).map((event) => event.topic);
      const count = (topic: string) => topics.filter((other) => other === topic).length;
      return count(`/${kind}/delete`) >= count(`/${kind}/create`);
    };
    await inTime(ended("containers"), seconds(2));
    if (!(await inTime(ended("tasks"), limitMs))) lost.push(name.replace(id, "<ID>"));
  }
  return lost;

  async function inTime(fits: () => boolean, limit: number): Promise<boolean> {
    if (fits()) return true;
    return await events.until(`the last of ${id}`, fits, limit).then(
      () => true,
      () => false,
    );
  }
}

export function eventsOf(containerd: Namespace, id: string): Record<string, string[]> {
  const seen: Record<string, string[]> = {};
  for (const event of containerd.events.records) {
    const name = containerOf(event);
    if (name === undefined || !event.topic.startsWith("/tasks/")) continue;
    if (name !== id && !name.startsWith(`${id}-`)) continue;
    const key = name.replace(id, "<ID>");
    seen[key] = [...(seen[key] ?? []), gist(event, name)];
  }
  return seen;
}
