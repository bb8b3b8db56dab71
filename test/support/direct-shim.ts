// The shim as another manager would start it: by hand, with containerd's command line, and directories of the test's own.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { bed } from "./bed.js";

export interface Bundle {
  readonly id: string;
  readonly dir: string;
}

export interface BundleOptions {
  readonly args: readonly string[];
  readonly terminal?: boolean;
  readonly memoryLimit?: number;
  readonly annotations?: Record<string, string>;
  /** Last changes to config.json, for what a test wants to be wrong. */
  readonly change?: (config: Record<string, unknown>) => void;
}

export interface Started {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The socket's path from the reply. */
  readonly socket: string;
}

const namespaces = ["pid", "network", "ipc", "uts", "mount"].map((type) => ({ type }));
const capabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_KILL",
  "CAP_MKNOD",
];

export class DirectShim implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "vd-"));
  readonly namespace = "direct";
  readonly run = join(this.dir, "run");
  readonly state = join(this.dir, "state");
  readonly #bundles: Bundle[] = [];
  readonly #env: Record<string, string>;

  constructor(env: Record<string, string> = {}) {
    this.#env = {
      PATH: process.env.PATH ?? "",
      VIGIL_RUN: this.run,
      VIGIL_STATE: this.state,
      VIGIL_CONF: "/nonexistent",
      ...env,
    };
  }

  bundle(id: string, options: BundleOptions): Bundle {
    const dir = join(this.dir, "bundles", id);
    mkdirSync(dir, { recursive: true });
    cpSync(bed.rootfs, join(dir, "rootfs"), { recursive: true, verbatimSymlinks: true });
    const config: Record<string, unknown> = {
      ociVersion: "1.1.0",
      process: {
        terminal: options.terminal ?? false,
        user: { uid: 0, gid: 0 },
        args: options.args,
        env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        cwd: "/",
        capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
        noNewPrivileges: true,
      },
      root: { path: "rootfs" },
      annotations: options.annotations ?? {},
      mounts: [
        { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
        {
          destination: "/dev",
          type: "tmpfs",
          source: "tmpfs",
          options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
          destination: "/dev/pts",
          type: "devpts",
          source: "devpts",
          options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
      ],
      linux: {
        cgroupsPath: `/vigil-direct/${this.dir.slice(-6)}-${id}`,
        namespaces,
        resources: options.memoryLimit ? { memory: { limit: options.memoryLimit } } : {},
      },
    };
    options.change?.(config);
    writeFileSync(join(dir, "config.json"), JSON.stringify(config));
    const bundle = { id, dir };
    this.#bundles.push(bundle);
    return bundle;
  }

  start(bundle: Bundle, env: Record<string, string> = {}): Started {
    const result = spawnSync(
      join(bed.built, "containerd-shim-vigil-v1"),
      ["-namespace", this.namespace, "-id", bundle.id, "start"],
      {
        cwd: bundle.dir,
        env: { ...this.#env, ...env },
        encoding: "utf8",
        timeout: 10_000,
      },
    );
    const address = /"address":"(?:unix:\/\/)?([^"]+)"/.exec(result.stdout)?.[1] ?? "";
    return { code: result.status ?? -1, stdout: result.stdout, stderr: result.stderr, socket: address };
  }

  /** The launcher with any arguments. */
  launch(args: readonly string[]): { code: number; stdout: string; stderr: string } {
    const result = spawnSync(join(bed.built, "containerd-shim-vigil-v1"), args, {
      cwd: this.dir,
      env: this.#env,
      encoding: "utf8",
    });
    return { code: result.status ?? -1, stdout: result.stdout, stderr: result.stderr };
  }

  /** The `delete` action, its answer still encoded. */
  delete(bundle: Bundle): { code: number; stdout: Buffer; stderr: string } {
    const args = ["-namespace", this.namespace, "-id", bundle.id, "-bundle", bundle.dir, "delete"];
    const result = spawnSync(join(bed.built, "containerd-shim-vigil-v1"), args, {
      cwd: this.dir,
      env: this.#env,
      timeout: 10_000,
    });
    return { code: result.status ?? -1, stdout: result.stdout, stderr: result.stderr.toString() };
  }

  /** What the living core wrote of itself. */
  core(group: string): { pid: number; socket: string; state: string } {
    const lines = readFileSync(join(this.run, "cores", this.namespace, group, "core"), "utf8").split("\n");
    const value = (key: string) => lines.find((line) => line.startsWith(`${key}=`))?.slice(key.length + 1) ?? "";
    return { pid: Number(value("pid")), socket: value("socket"), state: value("state") };
  }

  /** Everything below the run and state directories, and cgroups of this shim: empty when nothing is left. */
  leftovers(): string[] {
    const below = (dir: string): string[] =>
      existsSync(dir) ? readdirSync(dir, { recursive: true }).map((name) => join(dir, String(name))) : [];
    const cgroups = execFileSync("find", ["/sys/fs/cgroup", "-type", "d", "-name", `${this.dir.slice(-6)}-*`], {
      encoding: "utf8",
    });
    const processes = execFileSync("ps", ["-eo", "pid,args"], { encoding: "utf8" })
      .split("\n")
      .filter((line) => line.includes(this.dir));
    return [
      ...below(join(this.run, "cores")),
      ...below(join(this.run, "s")),
      ...cgroups.split("\n").filter(Boolean),
      ...processes,
    ];
  }

  /** The `delete` action for every bundle, as a manager does after each container. */
  deleteAll(): void {
    for (const bundle of this.#bundles) this.delete(bundle);
  }

  /** After each container its `delete`, and then nothing may be left. A core may wait 10 s for readers of its events. */
  async end(): Promise<void> {
    this.deleteAll();
    await expect.poll(() => this.leftovers(), { timeout: 20_000 }).toEqual([]);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.deleteAll();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
