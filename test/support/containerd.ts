// A real containerd of either version, owned by one test file.
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bed, prepareBed, seconds, type Version } from "./bed.js";
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

export interface Containerd {
  readonly version: Version;
  /** Names everything this instance makes: containers' cgroups, sockets and state lie below it. */
  readonly namespace: string;
  readonly base: string;
  readonly socket: string;
  readonly rootfs: string;
  readonly events: EventLog;
  readonly env: NodeJS.ProcessEnv;
  pid(): number;
  ctrArgv(args: readonly string[]): string[];
  ctr(args: readonly string[], options?: CommandOptions): Promise<CommandResult>;
  bundle(id: string): string;
  log(): Promise<string>;
  /** Resolves when everything published so far has arrived in `events`. */
  settled(): Promise<void>;
  /** `meanwhile` runs while nobody is there. */
  restart(signal?: NodeJS.Signals, meanwhile?: () => Promise<void>): Promise<void>;
  /** The name of an image with an overlay root, imported at the first call. */
  image(): Promise<string>;
  close(): Promise<void>;
}

function config(version: Version, base: string): string {
  return [
    `version = ${version === "1.7" ? 2 : 3}`,
    `root = "${base}/root"`,
    `state = "${base}/state"`,
    'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]',
    "[grpc]",
    `  address = "${base}/c.sock"`,
    "",
  ].join("\n");
}

export async function startContainerd(version: Version): Promise<Containerd> {
  prepareBed();
  // Unix socket paths end at 107 bytes, so the directory's name is short.
  const base = await mkdtemp("/tmp/vgc-");
  await chmod(base, 0o711);
  const namespace = `vt${randomBytes(3).toString("hex")}`;
  const socket = join(base, "c.sock");
  const rootfs = join(base, "rootfs");
  const logPath = join(base, "log");
  const binaries = bed.binaries(version);
  const env: NodeJS.ProcessEnv = {
    PATH: [bed.built, binaries, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"].join(":"),
    HOME: "/root",
    CONTAINERD_NAMESPACE: namespace,
  };
  await cp(bed.rootfs, rootfs, { recursive: true, verbatimSymlinks: true });
  await mkdir(join(base, "fifo"));
  await writeFile(join(base, "config.toml"), config(version, base));

  const events = new EventLog();
  let service: Service;
  let probes = 0;

  const ctrArgv = (args: readonly string[]) => [join(binaries, "ctr"), "--address", socket, ...args];
  const ctr = (args: readonly string[], options: CommandOptions = {}) => runCommand(ctrArgv(args), { env, ...options });

  // A namespace's label change is an event like any other and comes after all earlier ones.
  const probe = async (limitMs: number) => {
    const mark = `p${++probes}`;
    const answer = await ctr(["namespaces", "label", namespace, `probe=${mark}`]);
    if (answer.code !== 0) throw new Error(`containerd does not answer: ${answer.stderr}`);
    const fits = (event: { topic: string; body: Readonly<Record<string, unknown>> }) =>
      event.topic === "/namespaces/update" && JSON.stringify(event.body).includes(`"${mark}"`);
    await events.until(`the probe ${mark}`, fits, limitMs);
  };

  const up = async () => {
    service = await startService([join(binaries, "containerd"), "--config", join(base, "config.toml")], {
      env,
      log: logPath,
    });
    const answers = async () => {
      if (service.child.exitCode !== null) throw new Error(`containerd ended: ${await readFile(logPath, "utf8")}`);
      return existsSync(socket) && (await ctr(["version"])).code === 0 ? true : undefined;
    };
    await eventually(`containerd ${version} answers`, answers, seconds(20));
    const known = await ctr(["namespaces", "ls", "-q"]);
    if (!known.stdout.toString().split("\n").includes(namespace)) await ctr(["namespaces", "create", namespace]);
    events.open(ctrArgv(["events"]), env);
    // A subscription has no acknowledgement: it stands when a probe comes back.
    const stands = () =>
      probe(200 * bed.slowness).then(
        () => true,
        () => undefined,
      );
    await eventually("the event stream stands", stands, seconds(20));
  };

  const down = async (signal: NodeJS.Signals) => {
    await events.close();
    await service.stop(signal);
  };

  let imported: Promise<string> | undefined;
  const image = () => {
    imported ??= (async () => {
      const name = "vigil.test/busybox:latest";
      const archive = await makeImageArchive(rootfs, name, base);
      const { code, stderr } = await ctr(["image", "import", archive]);
      if (code !== 0) throw new Error(`image import: ${stderr}`);
      await rm(archive);
      return name;
    })();
    return imported;
  };

  await up();

  return {
    version,
    namespace,
    base,
    socket,
    rootfs,
    events,
    env,
    pid: () => service.pid,
    ctrArgv,
    ctr,
    bundle: (id) => join(base, "state/io.containerd.runtime.v2.task", namespace, id),
    log: () => readFile(logPath, "utf8"),
    settled: () => probe(seconds(10)),
    image,
    restart: async (signal = "SIGKILL", meanwhile = async () => {}) => {
      await down(signal);
      await meanwhile();
      await up();
    },
    close: async () => {
      await down("SIGTERM");
      // What the OCI runtime leaves by design: the parent directory of its cgroups.
      await removeEmptyCgroups(namespace);
      for (const dir of ["/run/vigil/cores", "/var/lib/vigil"]) {
        await rm(join(dir, namespace), { recursive: true, force: true });
      }
      await rm(base, { recursive: true, force: true });
    },
  };
}
