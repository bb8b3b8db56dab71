// One container of a test, through the runtime's command line.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { seconds } from "../../support/bed.js";
import { type CommandOptions, eventually } from "../../support/command.js";
import { callRuntime, globalArguments, logged, type Place, type Result, type Runtime } from "./runtime.js";

export interface State {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: string;
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Record<string, string>;
}

export interface CreateOptions {
  readonly arguments?: readonly string[];
  /** Open files of the suite that the runtime inherits from number 3 on. */
  readonly inherit?: readonly number[];
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** How the bundle is named; empty: not at all. */
  readonly bundle?: string;
  /** What the container's process reads; without it, nothing. */
  readonly stdin?: string;
}

function within<T>(what: string, promise: Promise<T>, why: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within 20 s\n${why()}`)), seconds(20));
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export class Container {
  readonly id: string;
  readonly bundle: string;
  readonly cgroupsPath: string;
  readonly #runtime: Runtime;
  readonly #place: Place;
  #creator: ChildProcess | undefined;
  #closed: Promise<unknown> = Promise.resolve();
  #out = "";
  #err = "";
  #heard: () => void = () => undefined;

  constructor(runtime: Runtime, place: Place, id: string, bundle: string, cgroupsPath: string) {
    this.#runtime = runtime;
    this.#place = place;
    this.id = id;
    this.bundle = bundle;
    this.cgroupsPath = cgroupsPath;
  }

  /** A path of the container as the host sees it in the bundle. */
  inRootfs(path: string): string {
    return join(this.bundle, "rootfs", path);
  }

  get attempted(): boolean {
    return this.#creator !== undefined;
  }

  get out(): string {
    return this.#out;
  }

  #complaint(): string {
    return `${this.#err}${logged(this.#place)}`;
  }

  async create(options: CreateOptions = {}): Promise<Result> {
    const { bundle = this.bundle } = options;
    const named = bundle === "" ? [] : ["--bundle", bundle];
    const argv = ["create", ...named, "--pid-file", join(this.bundle, "pid")];
    const child = spawn(
      this.#runtime.path,
      [...globalArguments(this.#place), ...argv, ...(options.arguments ?? []), this.id],
      {
        stdio: [options.stdin === undefined ? "ignore" : "pipe", "pipe", "pipe", ...(options.inherit ?? [])],
        env: options.env ?? process.env,
        cwd: options.cwd ?? "/",
      },
    );
    this.#creator = child;
    child.stdin?.end(options.stdin);
    child.stdout?.on("data", (data: Buffer) => {
      this.#out += data.toString();
      this.#heard();
    });
    child.stderr?.on("data", (data: Buffer) => {
      this.#err += data.toString();
    });
    this.#closed = once(child, "close").finally(() => this.#heard());
    this.#closed.catch(() => undefined);
    const [code] = await within(`${this.#runtime.title} create`, once(child, "exit"), () => this.#complaint());
    // A refusal's text is complete when nobody can write to it any more; a container keeps it open.
    if (code !== 0) await within("the end of a refused create", this.#closed, () => this.#complaint());
    return { code: (code as number | null) ?? 255, out: this.#out, err: this.#complaint() };
  }

  /** Nobody holds the container's output any more. */
  async ended(): Promise<void> {
    await within("the end of the container", this.#closed, () => `${this.#out}${this.#complaint()}`);
  }

  /** The container has printed this. */
  async said(text: string): Promise<void> {
    const heard = new Promise<void>((resolve, reject) => {
      let over = false;
      this.#heard = () => {
        if (this.#out.includes(text)) resolve();
        else if (over) reject(new Error(`ended without saying "${text}":\n${this.#out}${this.#complaint()}`));
      };
      this.#heard();
      const closed = () => {
        over = true;
        this.#heard();
      };
      this.#closed.then(closed, closed);
    });
    await within(`"${text}"`, heard, () => `${this.#out}${this.#complaint()}`);
  }

  /** Any command of the runtime about this container: `call("pause")`, `call("exec", ["--tty"], ["ls"])`. */
  call(
    command: string,
    before: readonly string[] = [],
    after: readonly string[] = [],
    options: CommandOptions = {},
  ): Promise<Result> {
    return callRuntime(this.#runtime, this.#place, [command, ...before, this.id, ...after], options);
  }

  /** A command that must succeed. */
  async must(command: string, before: readonly string[] = [], after: readonly string[] = []): Promise<string> {
    const { code, out, err } = await this.call(command, before, after);
    if (code !== 0) throw new Error(`${command} of the container: status ${code}\n${err}${logged(this.#place)}`);
    return out;
  }

  async mustCreate(options: CreateOptions = {}): Promise<void> {
    const { code, err } = await this.create(options);
    if (code !== 0) throw new Error(`create: status ${code}\n${err}`);
  }

  async start(): Promise<void> {
    await this.must("start");
  }

  /** A shell command in the container. */
  exec(text: string, before: readonly string[] = []): Promise<Result> {
    return this.call("exec", before, ["sh", "-c", text]);
  }

  async state(): Promise<State> {
    return JSON.parse(await this.must("state")) as State;
  }

  async pid(): Promise<number> {
    const { pid } = await this.state();
    if (pid === undefined || pid === 0) throw new Error("the state has no pid");
    return pid;
  }

  pidFile(): number {
    return Number(readFileSync(join(this.bundle, "pid"), "utf8"));
  }

  async becomes(status: string): Promise<void> {
    await eventually(`status ${status}`, async () => ((await this.state()).status === status ? true : undefined));
  }

  /** Its process has ended, and the runtime knows. */
  async stopped(): Promise<void> {
    await this.ended();
    await this.becomes("stopped");
  }

  async exists(): Promise<boolean> {
    return (await this.call("state")).code === 0;
  }

  /** Whatever happened: no container after this. */
  async remove(): Promise<void> {
    if (this.#creator === undefined) return;
    await this.call("delete", ["--force"]);
    this.#creator.kill("SIGKILL");
    this.#creator.stdout?.destroy();
    this.#creator.stderr?.destroy();
  }
}
