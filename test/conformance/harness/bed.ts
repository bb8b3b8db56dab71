// What a test is given: containers of one runtime that are gone when it ends.
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CommandOptions, runCommand } from "../../support/command.js";
import { defaultConfig, type Edit, merge, script } from "./config.js";
import { Container, type CreateOptions } from "./container.js";
import type { Rootfs } from "./rootfs.js";
import { callRuntime, type Place, type Result, type Runtime } from "./runtime.js";

export interface BundleOptions {
  /** Changes the bundle before it is used: `bundle` is its folder, `rootfs` the container's root in it. */
  readonly prepare?: (folders: { readonly bundle: string; readonly rootfs: string }) => void;
}

export interface Surroundings {
  readonly runtime: Runtime;
  readonly rootfs: Rootfs;
  /** This test's own folder, with nothing in it yet. */
  readonly folder: string;
  /** Name of the cgroup that holds the cgroups of all containers. */
  readonly group: string;
  /** Unique on this machine. */
  readonly name: string;
}

export interface Output {
  readonly out: string;
  readonly err: string;
}

export class Bed {
  readonly runtime: Runtime;
  readonly folder: string;
  readonly place: Place;
  readonly group: string;
  readonly #around: Surroundings;
  readonly #containers: Container[] = [];
  readonly #afterwards: (() => unknown)[] = [];

  constructor(around: Surroundings) {
    this.#around = around;
    this.runtime = around.runtime;
    this.folder = around.folder;
    this.group = around.group;
    mkdirSync(around.folder, { recursive: true });
    // Mapped users must be able to reach what is theirs.
    chmodSync(around.folder, 0o755);
    this.place = { root: join(around.folder, "state"), log: join(around.folder, "log") };
  }

  /** Any command of the runtime. */
  call(argv: readonly string[], options: CommandOptions = {}): Promise<Result> {
    return callRuntime(this.runtime, this.place, argv, options);
  }

  /** Done when the test ends, last first. */
  afterwards(action: () => unknown): void {
    this.#afterwards.push(action);
  }

  /** A file of the host, in this test's folder. */
  file(name: string, content = ""): string {
    const path = join(this.folder, name);
    writeFileSync(path, content);
    return path;
  }

  /** A directory of the host, in this test's folder, which everybody may enter. */
  directory(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path);
    return path;
  }

  /** A program of the host that must succeed. */
  async host(...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await runCommand(argv);
    if (code !== 0) throw new Error(`${argv.join(" ")}: status ${code}: ${stderr}`);
    return stdout.toString();
  }

  /** A bundle with the default configuration and these changes; nothing is created yet. */
  container(edit: Edit = {}, options: BundleOptions & { readonly id?: string } = {}): Container {
    const number = this.#containers.length;
    const id = options.id ?? `${this.#around.name}-${number}`;
    const bundle = join(this.folder, `bundle${number}`);
    const rootfs = join(bundle, "rootfs");
    mkdirSync(bundle);
    this.#around.rootfs(rootfs);
    const cgroupsPath = `/${this.group}/${id}`;
    writeFileSync(join(bundle, "config.json"), JSON.stringify(merge(defaultConfig(cgroupsPath), edit), null, 2));
    options.prepare?.({ bundle, rootfs });
    const container = new Container(this.runtime, this.place, id, bundle, cgroupsPath);
    this.#containers.push(container);
    return container;
  }

  async created(edit: Edit = {}, options: BundleOptions & CreateOptions = {}): Promise<Container> {
    const container = this.container(edit, options);
    await container.mustCreate(options);
    return container;
  }

  /** A started container whose process says "ready" when it is itself, and stays. */
  async running(edit: Edit = {}, options: BundleOptions & CreateOptions = {}): Promise<Container> {
    const container = await this.created(merge(script("echo ready; exec sleep 1000"), edit), options);
    await container.start();
    await container.said("ready");
    return container;
  }

  /** Runs a shell script in a container of its own to its end and returns what it printed. */
  async probe(text: string, edit: Edit = {}, options: BundleOptions & CreateOptions = {}): Promise<string> {
    const container = await this.created(merge(script(text), edit), options);
    await container.start();
    await container.ended();
    return container.out.trim();
  }

  /** Creating such a container fails, says why, and no container is there afterwards. Returns what was said. */
  async refused(edit: Edit, options: BundleOptions & CreateOptions = {}): Promise<string> {
    const container = this.container(edit, options);
    const { code, err } = await container.create(options);
    if (code === 0) throw new Error("create succeeded, it should have been refused");
    if (err.trim() === "") throw new Error("create failed without a word");
    if (await container.exists()) throw new Error(`create failed (${err.trim()}) and yet there is a container`);
    return err;
  }

  /** As refused, for what runtimes may find out only when the process is to run. */
  async refusedByStart(edit: Edit, options: BundleOptions & CreateOptions = {}): Promise<string> {
    const container = this.container(edit, options);
    const created = await container.create(options);
    if (created.code !== 0) return created.err;
    const started = await container.call("start");
    if (started.code !== 0) return started.err;
    throw new Error("create and start succeeded, one should have been refused");
  }

  async close(): Promise<void> {
    const problems: unknown[] = [];
    const attempt = async (action: () => unknown) => {
      try {
        await action();
      } catch (error) {
        problems.push(error);
      }
    };
    for (const container of this.#containers.reverse()) await attempt(() => container.remove());
    for (const action of this.#afterwards.reverse()) await attempt(action);
    await attempt(() => unmountBelow(this.folder));
    // A mount that stays is not emptied: what is behind it may be the machine's.
    await attempt(() => rmSync(this.folder, { recursive: true, force: true }));
    if (problems.length > 0) throw new AggregateError(problems, `cleaning up: ${problems.join("; ")}`);
  }
}

export function mountsBelow(folder: string): string[] {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n");
  return lines.map((line) => line.split(" ")[4] ?? "").filter((path) => path.startsWith(`${folder}/`));
}

async function unmountBelow(folder: string): Promise<void> {
  const left = mountsBelow(folder);
  for (const path of left.reverse()) await runCommand(["umount", "-l", path]);
  if (mountsBelow(folder).length > 0) throw new Error(`still mounted: ${mountsBelow(folder).join(", ")}`);
}
