import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, Option } from "commander";
import packageJson from "../../package.json" with { type: "json" };
import { VigilError } from "../base/errors.js";
import { parseEnvironment } from "../cli/quantities.js";
import { containerSpec, userSpec } from "../client/spec.js";
import { detectCaller } from "../host/caller.js";
import { checkpoint } from "./checkpoint.js";
import { openContainer } from "./container.js";
import type { Context } from "./context.js";
import { create } from "./create.js";
import { deleteContainer } from "./delete.js";
import { exec } from "./exec.js";
import { features } from "./features.js";
import { pause, resume } from "./freeze.js";
import { kill } from "./kill.js";
import { createRuntimeLog } from "./log.js";
import { restore } from "./restore.js";
import { run } from "./run.js";
import { findProgram } from "./search.js";
import { start } from "./start.js";
import { list, state } from "./state.js";
import { createStore } from "./store.js";
import { resourcesOf, update } from "./update.js";
import { usageOf } from "./usage.js";

export interface GlobalOptions {
  readonly root: string;
  readonly log: string;
  readonly logFormat: "text" | "json";
  readonly debug?: boolean;
  readonly systemdCgroup?: boolean;
  readonly criu: string;
}

/** As with runc: who is root of a user namespace alone is somebody else on the machine, unless he says that he is root. */
const defaultRoot = (): string => {
  const { XDG_RUNTIME_DIR, USER } = process.env;
  const { uid, privileged } = detectCaller();
  const own = uid !== 0 || (!privileged && USER !== "root");
  return own && XDG_RUNTIME_DIR ? join(XDG_RUNTIME_DIR, "vigil-runtime") : "/run/vigil-runtime";
};

/** runc's command line, verb by verb. `exit` takes the status of a process that ran in the foreground. */
export function program(exit: (status: number) => void): Command {
  const root = new Command("vigil-runtime")
    .description("An OCI runtime: creates and runs containers from bundles, as runc's command line does.")
    .version(`vigil-runtime version ${packageJson.version}\nspec: 1.2.0`, "-v, --version")
    .option("--root <directory>", "where the state of containers is kept", defaultRoot())
    .option("--log <file>", "where to log to (default: standard error)", "")
    .addOption(new Option("--log-format <format>").choices(["text", "json"]).default("text"))
    .option("--debug", "log more")
    .option("--systemd-cgroup", "cgroups by systemd (not implemented)")
    .addOption(new Option("--rootless <value>", "accepted for callers of runc; found out, not told").hideHelp())
    .option("--criu <path>", "the CRIU program, for checkpoint and restore", "criu")
    .enablePositionalOptions()
    .exitOverride();
  const act =
    (action: (context: Context, ...rest: never[]) => unknown) =>
    async (...args: unknown[]) => {
      const context = contextOf(root.opts<GlobalOptions>());
      const status = await action(context, ...(args as never[]));
      if (typeof status === "number") exit(status);
    };
  for (const command of [...lifecycle(act), ...criuVerbs(act), ...inspection(act)])
    root.addCommand(command.copyInheritedSettings(root));
  return root;
}

type Act = (action: (context: Context, ...rest: never[]) => unknown) => (...args: unknown[]) => Promise<void>;

export function contextOf({ root, log, logFormat, debug, systemdCgroup, criu }: GlobalOptions): Context {
  if (systemdCgroup)
    throw new VigilError("unimplemented", "--systemd-cgroup: the systemd cgroup driver is not implemented");
  return {
    store: createStore(resolve(root)),
    log: createRuntimeLog({ path: log, format: logFormat, debug: debug === true }),
    criu: findProgram(criu),
  };
}

const print = (value: unknown): void => {
  const text = typeof value === "string" ? value : JSON.stringify(value, wide, 2);
  process.stdout.write(`${text}\n`);
};

const wide = (_: string, value: unknown): unknown => (typeof value === "bigint" ? Number(value) : value);
const collect = (value: string, previous: readonly string[] = []): string[] => [...previous, value];

function birth(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument("<container-id>")
    .option("-b, --bundle <directory>", "the bundle (default: the current directory)")
    .option("--console-socket <socket>", "gets the terminal's master")
    .option("--pid-file <file>", "gets the init's process id")
    .option("--no-pivot", "MS_MOVE and chroot in place of pivot_root, for a root on a ramdisk")
    .option("--no-new-keyring", "keep the caller's session keyring")
    .option("--preserve-fds <number>", "descriptors from 3 on that the container inherits", Number);
}

function lifecycle(act: Act): Command[] {
  return [
    birth("create", "create a container, up to its init waiting for start").action(
      act(
        async (context, id: string, options: Parameters<typeof create>[2]) => void (await create(context, id, options)),
      ),
    ),
    birth("run", "create and start a container")
      .option("-d, --detach", "leave it running")
      .option("--keep", "do not delete it after its exit")
      .addOption(new Option("--no-subreaper").hideHelp())
      .action(act((context, id: string, options: Parameters<typeof run>[2]) => run(context, id, options))),
    new Command("start").description("let a created container's init go").argument("<container-id>").action(act(start)),
    new Command("kill")
      .description("send a signal (default: SIGTERM)")
      .argument("<container-id>")
      .argument("[signal]", "name or number", "SIGTERM")
      .option("-a, --all", "to every process of the container")
      .action(act(kill)),
    new Command("delete")
      .description("remove what a container has left")
      .argument("<container-id>")
      .option("-f, --force", "kill it first; it need not exist")
      .action(act(deleteContainer)),
    new Command("pause").description("freeze a container").argument("<container-id>").action(act(pause)),
    new Command("resume").description("let a paused container go on").argument("<container-id>").action(act(resume)),
    new Command("exec")
      .description("run another process in a container")
      .argument("<container-id>")
      .argument("[command...]")
      .passThroughOptions()
      .option("-p, --process <file>", "the OCI process object")
      .option("--console-socket <socket>", "gets the terminal's master")
      .option("--pid-file <file>", "gets the process id")
      .option("-d, --detach", "leave it running")
      .option("-t, --tty", "give it a terminal")
      .option("--cwd <directory>", "directory to start in")
      .option("-e, --env <name=value>", "environment variable, again for more", parseEnvironment)
      .option("-u, --user <uid[:gid]>", "user and group, as numbers")
      .option("-g, --additional-gids <gid>", "further group, again for more", collect)
      .option("-c, --cap <name>", "further capability, again for more", collect)
      .option("--no-new-privs", "set no_new_privs")
      .option("--apparmor <profile>", "AppArmor profile")
      .option("--process-label <label>", "SELinux label")
      .option("--preserve-fds <number>", "descriptors from 3 on that it inherits", Number)
      .option("--ignore-paused", "also in a paused container")
      .action(
        act((context, id: string, command: string[], options: Parameters<typeof exec>[3]) =>
          exec(context, id, command, options),
        ),
      ),
    updateVerb(act),
  ];
}

function updateVerb(act: Act): Command {
  const numbers = {
    "--blkio-weight": "weight of block IO, 10 to 1000",
    "--cpu-period": "CFS period in microseconds",
    "--cpu-quota": "CFS quota in microseconds a period",
    "--cpu-share": "CPU shares",
    "--cpu-rt-period": "realtime period in microseconds",
    "--cpu-rt-runtime": "realtime run time in microseconds a period",
    "--memory": "memory limit in bytes",
    "--memory-reservation": "soft memory limit in bytes",
    "--memory-swap": "memory and swap in bytes, -1: unlimited",
    "--pids-limit": "number of processes",
  };
  const command = new Command("update")
    .description("change limits of a container")
    .argument("<container-id>")
    .option("-r, --resources <file>", "the OCI resources object, - for standard input")
    .option("--cpuset-cpus <list>", "CPUs to use")
    .option("--cpuset-mems <list>", "memory nodes to use");
  for (const [name, description] of Object.entries(numbers)) command.option(`${name} <number>`, description, Number);
  return command.action(act(update));
}

/** What the two have in common, in runc's words. */
function criuVerb(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument("<container-id>")
    .option("--image-path <directory>", "where the images are", "checkpoint")
    .option("--work-path <directory>", "where CRIU's log goes (default: the images)")
    .option("--tcp-established", "with established TCP connections")
    .option("--ext-unix-sk", "with sockets that lead outside")
    .option("--shell-job", "with a terminal of the host's")
    .option("--file-locks", "with file locks")
    .option("--manage-cgroups-mode <mode>", "what becomes of cgroup settings: ignore, none, props, soft, full, strict")
    .option("--empty-ns <kind>", "leave out what is in a namespace: network; again for more", collect);
}

function restoreVerb(act: Act): Command {
  const command = criuVerb("restore", "make a container of images")
    .option("-b, --bundle <directory>", "the bundle (default: the current directory)")
    .option("--console-socket <socket>", "gets the terminal's master")
    .option("--pid-file <file>", "gets the init's process id")
    .option("--no-pivot", "accepted for callers of runc; CRIU changes the root")
    .option("-d, --detach", "leave it running")
    .addOption(new Option("--no-subreaper").hideHelp())
    .action(act((context, id: string, options: Parameters<typeof restore>[2]) => restore(context, id, options)));
  // The word of containerd's go-runc, which Go's flag parsers take for the same.
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (words) => parse(words.map((word) => (word === "-no-subreaper" ? "--no-subreaper" : word)));
  return command;
}

function criuVerbs(act: Act): Command[] {
  return [
    criuVerb("checkpoint", "write a container to images, and end it")
      .option("--leave-running", "do not end it")
      .action(
        act((context, id: string, options: Parameters<typeof checkpoint>[2]) => checkpoint(context, id, options)),
      ),
    restoreVerb(act),
  ];
}

function inspection(act: Act): Command[] {
  const json = () => new Option("-f, --format <format>", "table or json").choices(["table", "json"]).default("table");
  return [
    new Command("state")
      .description("print the state of a container")
      .argument("<container-id>")
      .action(act((context, id: string) => print(state(context, id)))),
    new Command("list")
      .description("list containers")
      .addOption(json())
      .option("-q, --quiet", "only their ids")
      .action(act((context, options: { format: string; quiet?: boolean }) => printList(list(context), options))),
    new Command("ps")
      .description("list the processes of a container")
      .argument("<container-id>")
      .argument("[ps-option...]")
      .passThroughOptions()
      .addOption(json())
      .action(
        act((context, id: string, args: string[], options: { format: string }) => ps(context, id, args, options)),
      ),
    new Command("events")
      .description("print statistics of a container")
      .argument("<container-id>")
      .option("--stats", "once")
      .option("--interval <seconds>", "between two", (text) => Number.parseFloat(text), 5)
      .action(act(events)),
    new Command("features").description("print what this runtime can do").action(act(() => print(features()))),
    new Command("spec")
      .description("write a config.json to start from")
      .option("-b, --bundle <directory>", "where to (default: the current directory)")
      .option("--rootless", "for an unprivileged user")
      .action(act((_, options: SpecOptions) => writeSpec(options))),
  ];
}

function printList(states: ReturnType<typeof list>, { format, quiet }: { format: string; quiet?: boolean }): void {
  if (quiet) {
    for (const { id } of states) print(id);
  } else if (format === "json") {
    process.stdout.write(JSON.stringify(states));
  } else {
    const rows = states.map(({ id, pid, status, bundle, created, owner }) => [
      id,
      String(pid),
      status,
      bundle,
      created,
      owner || "root",
    ]);
    printColumns([["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], ...rows]);
  }
}

function printColumns(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("   ")
        .trimEnd(),
    );
}

async function ps(
  context: Context,
  id: string,
  args: readonly string[],
  { format }: { format: string },
): Promise<void> {
  const container = openContainer(context, id);
  const pids = await container.runtime().port.pids(container);
  if (format === "json") {
    process.stdout.write(`${JSON.stringify(pids)}\n`);
    return;
  }
  const [header = "", ...lines] = execFileSync("ps", args.length > 0 ? args : ["-ef"], { encoding: "utf8" })
    .trimEnd()
    .split("\n");
  const column = header.trim().split(/\s+/).indexOf("PID");
  if (column < 0) throw new VigilError("invalid_argument", "ps: these options show no column PID");
  const wanted = new Set(pids.map(String));
  print([header, ...lines.filter((line) => wanted.has(line.trim().split(/\s+/)[column] ?? ""))].join("\n"));
}

async function events(
  context: Context,
  id: string,
  { stats, interval }: { stats?: boolean; interval: number },
): Promise<void> {
  const container = openContainer(context, id);
  const { port } = container.runtime();
  for (;;) {
    if (container.status() === "stopped") {
      if (stats) throw new VigilError("failed_precondition", `container ${id} is not running`);
      return;
    }
    const data = usageOf(await port.stats(container));
    process.stdout.write(`${JSON.stringify({ type: "stats", id, data }, wide)}\n`);
    if (stats) return;
    await new Promise((wake) => setTimeout(wake, interval * 1000));
  }
}

interface SpecOptions {
  readonly bundle?: string;
  readonly rootless?: boolean;
}

function writeSpec({ bundle = ".", rootless = false }: SpecOptions): void {
  const path = join(bundle, "config.json");
  if (existsSync(path)) throw new VigilError("already_exists", `file ${path} exists: remove it first`);
  const choices = {
    argv: ["sh"],
    rootPath: "rootfs",
    readonlyRoot: true,
    hostname: "vigil",
    cgroupsPath: "",
    terminal: { columns: 0, rows: 0 },
  };
  const spec = rootless ? userSpec(choices, detectCaller()) : containerSpec(choices);
  writeFileSync(path, `${JSON.stringify(spec, null, 2)}\n`, { flag: "wx" });
}

/** Loads and compiles what the verbs run, for V8's code cache. */
export function warmUp(): void {
  program(() => undefined).helpInformation();
  features();
  resourcesOf({});
}
