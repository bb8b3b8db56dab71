import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { VigilError } from "../../../src/base/errors.js";
import {
  type CloseIORequest,
  type CreateTaskRequest,
  type DeleteRequest,
  type ExecProcessRequest,
  type KillRequest,
  type StartRequest,
  type StateRequest,
  StateResponse,
  TaskDefinition,
  type WaitRequest,
} from "../../../src/gen/containerd/task/v3/shim.js";
import { Status } from "../../../src/gen/containerd/types/task/task.js";
import { Container, type OomReport, VigilDefinition } from "../../../src/gen/vigil/v1/vigil.js";
import { type Handlers, WireServer } from "../client/wire-server.js";

interface HostProcess {
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly stdio: { readonly stdin: string; readonly stdout: string; readonly stderr: string };
  /** The shim's own write end of stdin, until CloseIO: a container sees no end of input before. */
  holder?: number;
  child?: ChildProcess;
  exited?: Promise<number>;
}

/**
 * A shim for testing the command line without root: speaks the same wire, keeps the same records, and runs "containers" as
 * plain processes of this host. It stands in for the C and Node parts together, none of which is loaded.
 */
export class HostShim {
  readonly calls: string[] = [];
  readonly #directory: string;
  readonly #processes = new Map<string, HostProcess>();
  #bundle = "";
  #id = "";
  wire: WireServer | undefined;
  reports: OomReport[] = [];
  /** Called with each method's name before it is carried out; may throw what the client is to get. */
  before: (method: string) => void = () => undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  get env(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      VIGIL_RUN: join(this.#directory, "run"),
      VIGIL_STATE: join(this.#directory, "state"),
      VIGIL_SHIM: join(this.#directory, "shim"),
    };
  }

  get #socket(): string {
    return join(this.#directory, "socket");
  }

  /** What `start` and `delete` were run with, a line each: cwd and arguments. */
  async actions(): Promise<string[]> {
    return (await readFile(join(this.#directory, "actions"), "utf8")).trim().split("\n");
  }

  async listen(): Promise<void> {
    const reply = JSON.stringify({ version: 3, address: this.#socket, protocol: "grpc" });
    const script = `#!/bin/sh\necho "$VIGIL_PROTOCOL $PWD $*" >>'${join(this.#directory, "actions")}'\nprintf '%s' '${reply}'\n`;
    await writeFile(join(this.#directory, "shim"), script);
    await chmod(join(this.#directory, "shim"), 0o755);
    this.wire = await WireServer.listen(this.#socket, [
      [TaskDefinition as never, this.#noted(this.#task())],
      [VigilDefinition as never, this.#noted(this.#vigil())],
    ]);
  }

  async close(): Promise<void> {
    for (const { child } of this.#processes.values()) child?.kill("SIGKILL");
    await this.wire?.close();
  }

  #noted(handlers: Handlers): Handlers {
    const noted = Object.entries(handlers).map(([name, handler]) => [
      name,
      (request: never, call: never) => {
        this.calls.push(name);
        this.before(name);
        return handler(request, call);
      },
    ]);
    return Object.fromEntries(noted) as Handlers;
  }

  #find(execId: string): HostProcess {
    const found = this.#processes.get(execId);
    if (!found) throw new VigilError("not_found", `no process ${execId}`);
    return found;
  }

  #task(): Handlers {
    return {
      create: async ({ id, bundle, stdin, stdout, stderr }: CreateTaskRequest) => {
        this.#id = id;
        this.#bundle = bundle;
        const { process: spec } = JSON.parse(await readFile(join(bundle, "config.json"), "utf8")) as {
          process: { args: string[]; env: string[] };
        };
        this.#processes.set("", { argv: spec.args, env: spec.env, stdio: { stdin, stdout, stderr } });
        await this.#record();
        return { pid: 1 };
      },
      exec: ({ execId, stdin, stdout, stderr, spec }: ExecProcessRequest) => {
        const { args, env } = JSON.parse(Buffer.from(spec?.value ?? []).toString()) as {
          args: string[];
          env: string[];
        };
        this.#processes.set(execId, { argv: args, env, stdio: { stdin, stdout, stderr } });
      },
      start: ({ execId }: StartRequest) => ({ pid: launch(this.#find(execId)) }),
      wait: async ({ execId }: WaitRequest) => ({ exitStatus: await this.#find(execId).exited, exitedAt: undefined }),
      kill: ({ execId, signal }: KillRequest) => {
        const { child } = this.#find(execId);
        if (!child || child.exitCode !== null) throw new VigilError("not_found", "process already finished");
        child.kill(signal);
      },
      state: ({ execId }: StateRequest) => {
        const { child } = this.#find(execId);
        return StateResponse.fromPartial({ status: child?.exitCode === null ? Status.RUNNING : Status.STOPPED });
      },
      delete: async ({ execId }: DeleteRequest) => {
        const exitStatus = (await this.#find(execId).exited) ?? 0;
        this.#processes.delete(execId);
        return { pid: 1, exitStatus, exitedAt: undefined };
      },
      closeIO: ({ execId }: CloseIORequest) => {
        const found = this.#find(execId);
        if (found.holder !== undefined) closeSync(found.holder);
        delete found.holder;
      },
      shutdown: async () => {
        await rm(join(this.#directory, "run/cores"), { recursive: true, force: true });
      },
    };
  }

  #vigil(): Handlers {
    return {
      containers: () => {
        const child = this.#processes.get("")?.child;
        const status = child && child.exitCode === null ? Status.RUNNING : Status.STOPPED;
        const container = Container.fromPartial({
          id: this.#id,
          namespace: "vigil",
          bundle: this.#bundle,
          pid: child?.pid ?? 0,
          status,
          exitStatus: child?.exitCode ?? 0,
          memoryLimit: 64n << 20n,
        });
        return { containers: [container] };
      },
      oomReports: () => ({ reports: this.reports }),
    };
  }

  async #record(): Promise<void> {
    const directory = join(this.#directory, "run/cores/vigil", this.#id);
    await mkdir(directory, { recursive: true });
    const stat = await readFile("/proc/self/stat", "utf8");
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    await writeFile(join(directory, "core"), `pid=${process.pid}\nstart=${start}\nsocket=${this.#socket}\n`);
    await writeFile(join(directory, "shim"), `group=${this.#id}\nsocket=${this.#socket}\nbundle=${this.#bundle}\n`);
  }
}

function launch(process: HostProcess): number {
  const [file = "", ...args] = process.argv;
  const { stdin, stdout, stderr } = process.stdio;
  const output = (path: string) => openSync(path.replace("file://", "") || "/dev/null", "a");
  if (stdin) process.holder = openSync(stdin, "r+");
  const fds = [openSync(stdin || "/dev/null", "r"), output(stdout), output(stderr)];
  const env = Object.fromEntries(process.env.map((entry) => entry.split(/=(.*)/s).slice(0, 2) as [string, string]));
  const child = spawn(file, args, { env, stdio: fds });
  process.child = child;
  process.exited = new Promise((resolve) => {
    child.on("error", () => resolve(127));
    child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]));
  });
  for (const fd of fds) closeSync(fd);
  return child.pid ?? 0;
}
