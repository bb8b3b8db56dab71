// vigil-runtime as somebody who is not root runs it: a copy that he can reach, a state directory of his own.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bed } from "./bed.js";

export const user = { uid: 65534, gid: 65534 };

export interface Outcome {
  readonly status: number | null;
  readonly output: string;
}

/** Shell text that root runs first, in the mount namespace of the command. */
export interface Surroundings {
  readonly before?: string;
}

export type Config = ReturnType<typeof JSON.parse>;

export class UnprivilegedRuntime implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "vigil-user-"));
  readonly runtimeDirectory = join(this.dir, "xdg");
  readonly bundle = join(this.dir, "bundle");

  constructor() {
    chmodSync(this.dir, 0o755);
    const [programs, library] = [join(this.dir, "bin"), join(this.dir, "lib/vigil")];
    mkdirSync(programs, { recursive: true });
    mkdirSync(library, { recursive: true });
    cpSync(join(bed.top, "build/bin/vigil-runtime"), join(programs, "vigil-runtime"));
    for (const file of ["boot.cjs", "runtime.js", "runtime.cache", "koffi.node", "libvigil.so", "vigil-solo"]) {
      cpSync(join(bed.built, "../lib/vigil", file), join(library, file), { dereference: true });
    }
    cpSync(bed.rootfs, join(this.bundle, "rootfs"), { recursive: true, verbatimSymlinks: true });
    mkdirSync(this.runtimeDirectory, { mode: 0o700 });
    for (const path of [this.runtimeDirectory, this.bundle, join(this.bundle, "rootfs")]) {
      chownSync(path, user.uid, user.gid);
    }
  }

  /** Why this machine does not let such a user have containers; undefined: it does. */
  whyNot(): string | undefined {
    const namespaces = this.as(["unshare", "--user", "--map-root-user", "true"]);
    if (namespaces.status !== 0) return `unprivileged user namespaces: ${namespaces.output}`;
    const node = this.as([process.execPath, "--version"]);
    return node.status === 0 ? undefined : `${process.execPath} cannot be run by another user: ${node.output}`;
  }

  as(command: readonly string[], { before = "" }: Surroundings = {}): Outcome {
    const drop = `exec setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups "$@"`;
    const log = join(this.dir, "output");
    // A file, as a container that stays would hold a pipe open.
    const fd = openSync(log, "w");
    try {
      const { status, error } = spawnSync(
        "unshare",
        ["--mount", "--propagation", "private", "sh", "-euc", `${before}\n${drop}`, "sh", ...command],
        {
          cwd: this.bundle,
          env: { PATH: process.env.PATH, XDG_RUNTIME_DIR: this.runtimeDirectory, VIGIL_NODE: process.execPath },
          stdio: ["ignore", fd, fd],
        },
      );
      if (error) throw error;
      return { status, output: readFileSync(log, "utf8").trim() };
    } finally {
      closeSync(fd);
    }
  }

  call(args: readonly string[], surroundings?: Surroundings): Outcome {
    return this.as([join(this.dir, "bin/vigil-runtime"), ...args], surroundings);
  }

  /** A configuration as `spec --rootless` makes it, with what the test wants. */
  configure(args: readonly string[], change: (config: Config) => void = () => undefined): void {
    const path = join(this.bundle, "config.json");
    if (existsSync(path)) rmSync(path);
    const made = this.call(["spec", "--rootless"]);
    if (made.status !== 0) throw new Error(`spec --rootless: ${made.output}`);
    const config = JSON.parse(readFileSync(path, "utf8"));
    config.process.terminal = false;
    config.process.args = args;
    change(config);
    writeFileSync(path, JSON.stringify(config));
  }

  run(surroundings?: Surroundings): Outcome {
    return this.call(["run", "c"], surroundings);
  }

  [Symbol.dispose](): void {
    this.call(["delete", "--force", "c"]);
    rmSync(this.dir, { recursive: true });
  }
}
