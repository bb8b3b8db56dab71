// A real containerd of either version, owned by one test file.
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bed, prepareBed, seconds, stockRuntime, type Version } from "./bed.js";
import { removeEmptyCgroups } from "./cgroup-tree.js";
import {
  type CommandOptions,
  type CommandResult,
  eventually,
  runCommand,
  type Service,
  startService,
} from "./command.js";
import { EventLog } from "./ctr-events.js";
import { makeImageArchive } from "./oci-image.js";

/** One namespace of a running containerd, with a root tree of its own. */
export interface Namespace {
  readonly version: Version;
  /** Names everything made through this client: the containers' cgroups, sockets and state lie below it. */
  readonly namespace: string;
  readonly base: string;
  readonly socket: string;
  readonly rootfs: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of all namespaces. */
  readonly events: EventLog;
  ctrArgv(args: readonly string[]): string[];
  ctr(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  bundle(id: string): string;
  /** The OCI runtime of its shims in place of their own; mostly empty. */
  readonly oci: string;
  /** What makes a shim use the other OCI runtime of this run, in `ctr run` and `ctr container create`; mostly none. */
  ociFlags(runtime: string, verb: string): readonly string[];
  /** The name of an image with an overlay root, imported at the first call. */
  image(): Promise<string>;
  /** `meanwhile` runs while nobody is there. */
  restart(signal?: NodeJS.Signals, meanwhile?: () => Promise<void>): Promise<void>;
}

export interface Containerd extends Namespace {
  pid(): number;
  log(): Promise<string>;
  /** Resolves when everything published so far has arrived in `events`. */
  settled(): Promise<void>;
  /** A further namespace, whose name begins with this one's; its shims use that OCI runtime (empty: their own). */
  another(suffix: string, oci: string): Promise<Namespace>;
  close(): Promise<void>;
}

const noCri =
  'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]';

export interface ContainerdOptions {
  /** Tables of the configuration that switch the kubelet's interface on; without them it is off. */
  readonly cri?: (base: string) => Promise<string>;
  /** For containerd and thereby for its shims; `base` is its directory. */
  readonly env?: (base: string) => Readonly<Record<string, string>>;
}

function config(version: Version, base: string, cri: string | undefined): string {
  return [
    `version = ${version === "1.7" ? 2 : 3}`,
    `root = "${base}/root"`,
    `state = "${base}/state"`,
    ...(cri === undefined ? [noCri] : []),
    "[grpc]",
    `  address = "${base}/c.sock"`,
    ...(cri === undefined ? [] : [cri]),
    "",
  ].join("\n");
}

export async function startContainerd(version: Version, options: ContainerdOptions = {}): Promise<Containerd> {
  prepareBed();
  // Unix socket paths end at 107 bytes, so the directory's name is short.
  const base = await mkdtemp("/tmp/vgc-");
  await chmod(base, 0o711);
  const main = `vt${randomBytes(3).toString("hex")}`;
  const socket = join(base, "c.sock");
  const logPath = join(base, "log");
  const binaries = bed.binaries(version);
  const path = [bed.built, binaries, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"].join(":");
  const baseEnv: NodeJS.ProcessEnv = { PATH: path, HOME: "/root", ...options.env?.(base) };
  await mkdir(join(base, "fifo"));
  await writeFile(join(base, "config.toml"), config(version, base, await options.cri?.(base)));

  const events = new EventLog();
  let service: Service;
  let probes = 0;
  const ctrArgv = (args: readonly string[]) => [join(binaries, "ctr"), "--address", socket, ...args];
  const plainCtr = (args: readonly string[]) => runCommand(ctrArgv(args), { env: baseEnv });

  // A namespace's label change is an event like any other and comes after all earlier ones.
  const probe = async (limitMs: number) => {
    const mark = `p${++probes}`;
    const answer = await plainCtr(["namespaces", "label", main, `probe=${mark}`]);
    if (answer.code !== 0) throw new Error(`containerd does not answer: ${answer.stderr}`);
    const fits = (event: { topic: string; body: Readonly<Record<string, unknown>> }) =>
      event.topic === "/namespaces/update" && JSON.stringify(event.body).includes(`"${mark}"`);
    await events.until(`the probe ${mark}`, fits, limitMs);
  };

  const up = async () => {
    service = await startService([join(binaries, "containerd"), "--config", join(base, "config.toml")], {
      env: baseEnv,
      log: logPath,
    });
    const answers = async () => {
      if (service.child.exitCode !== null) throw new Error(`containerd ended: ${await readFile(logPath, "utf8")}`);
      if (!existsSync(socket)) return undefined;
      const known = await plainCtr(["namespaces", "ls", "-q"]);
      return known.code === 0 ? known.stdout.toString().split("\n") : undefined;
    };
    const known = await eventually(`containerd ${version} answers`, answers, seconds(20));
    if (!known.includes(main)) await plainCtr(["namespaces", "create", main]);
    events.open(ctrArgv(["events"]), baseEnv);
    // A subscription has no acknowledgement: it stands when a probe comes back.
    const stands = () =>
      probe(seconds(0.3)).then(
        () => true,
        () => undefined,
      );
    await eventually("the event stream stands", stands, seconds(20));
  };

  const down = async (signal: NodeJS.Signals) => {
    await events.close();
    await service.stop(signal);
  };

  const restart = async (signal: NodeJS.Signals = "SIGKILL", meanwhile: () => Promise<void> = async () => {}) => {
    await down(signal);
    await meanwhile();
    await up();
  };

  const open = async (namespace: string, oci: string): Promise<Namespace> => {
    const ociConfig = join(base, `runtime-${namespace}.toml`);
    await writeFile(ociConfig, `BinaryName = ${JSON.stringify(oci)}\n`);
    const rootfs = join(base, `rootfs-${namespace}`);
    await cp(bed.rootfs, rootfs, { recursive: true, verbatimSymlinks: true });
    const env = { ...baseEnv, CONTAINERD_NAMESPACE: namespace };
    const ctr = (args: readonly string[], options: CommandOptions = {}) =>
      runCommand(ctrArgv(args), { env, ...options });
    const imported = once(async () => {
      const name = "vigil.test/busybox:latest";
      const archive = await makeImageArchive(rootfs, name, base);
      const { code, stderr } = await ctr(["image", "import", archive]);
      if (code !== 0) throw new Error(`image import: ${stderr}`);
      await rm(archive);
      return name;
    });
    const bundle = (id: string) => join(base, "state/io.containerd.runtime.v2.task", namespace, id);
    // ctr takes --runc-binary for the stock shim alone, and not at `container create`.
    const ociFlags = (runtime: string, verb: string) => {
      if (oci === "") return [];
      if (runtime !== stockRuntime) return ["--runtime-config-path", ociConfig];
      return verb === "run" ? ["--runc-binary", oci] : [];
    };
    const image = imported;
    return {
      version,
      namespace,
      base,
      socket,
      rootfs,
      env,
      events,
      ctrArgv,
      ctr,
      bundle,
      oci,
      ociFlags,
      image,
      restart,
    };
  };

  /** A test that failed half-way leaves containers; they are not to outlive it. */
  const endSurvivors = async () => {
    const alive = new Map<string, string>();
    for (const { topic, namespace, body } of events.records) {
      const key = `${namespace}/${body.id}`;
      if (topic === "/containers/create") alive.set(key, namespace);
      if (topic === "/containers/delete") alive.delete(key);
    }
    for (const [key, namespace] of alive) {
      const options = { env: { ...baseEnv, CONTAINERD_NAMESPACE: namespace }, limitMs: seconds(10) };
      const id = key.slice(namespace.length + 1);
      await runCommand(ctrArgv(["task", "delete", "--force", id]), options);
      await runCommand(ctrArgv(["container", "delete", id]), options);
    }
  };

  await up();
  return {
    ...(await open(main, bed.ociRuntime)),
    pid: () => service.pid,
    log: () => readFile(logPath, "utf8"),
    settled: () => probe(seconds(10)),
    another: (suffix, oci) => open(`${main}${suffix}`, oci),
    close: async () => {
      await endSurvivors();
      await down("SIGTERM");
      // What the OCI runtime leaves by design: the parent directory of its cgroups.
      await removeEmptyCgroups(main);
      for (const dir of ["/run/vigil/cores", "/var/lib/vigil"]) {
        for (const name of existsSync(dir) ? await readdir(dir) : []) {
          if (name.startsWith(main)) await rm(join(dir, name), { recursive: true });
        }
      }
      await rm(base, { recursive: true });
    },
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
