import { Command, InvalidArgumentError, Option } from "commander";
import {
  parseBytes,
  parseCount,
  parseEnvironment,
  parsePositive,
  parseSequence,
  parseSignal,
  parseUser,
} from "./quantities.js";
import { namespaceOption, verb } from "./verb.js";
import { versionText } from "./version.js";

/** The whole command line. A verb's own module, and what it needs, is loaded when it is asked for. */
export function program(): Command {
  const root = new Command("vigil")
    .description("Runs containers, watches them, and explains why they ran out of memory.")
    .version(versionText, "-V, --version")
    .enablePositionalOptions()
    .showHelpAfterError("(vigil --help, or vigil VERB --help, lists what there is)")
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, "vigil: ")) });
  for (const command of verbs()) root.addCommand(command.copyInheritedSettings(root));
  return root;
}

function verbs(): Command[] {
  return [
    runVerb(),
    verb("ps", "list containers, those of containerd too")
      .addOption(namespaceOption())
      .action(async (options) => (await import("./ps.js")).ps(options)),
    execVerb(),
    killVerb(),
    verb("pause NAME...", "freeze every process of a container")
      .argument("<name...>")
      .addOption(namespaceOption())
      .action(async (names, options) => (await import("./pause.js")).pause(names, options)),
    verb("resume NAME...", "let a paused container go on")
      .argument("<name...>")
      .addOption(namespaceOption())
      .action(async (names, options) => (await import("./resume.js")).resume(names, options)),
    verb("wait NAME...", "wait until containers end, and print their exit status")
      .argument("<name...>")
      .option("--rm", "then remove them")
      .addOption(namespaceOption())
      .action(async (names, options) => (await import("./wait.js")).wait(names, options)),
    verb("stats [NAME...]", "show what containers use, every second")
      .argument("[name...]")
      .option("--no-stream", "show it once")
      .addOption(namespaceOption())
      .action(async (names, options) => (await import("./stats.js")).stats(names, options)),
    eventsVerb(),
    verb("logs NAME", "print what a detached container has written")
      .argument("<name>")
      .option("-f, --follow", "go on until the container ends")
      .addOption(namespaceOption())
      .action(async (name, options) => (await import("./logs.js")).logs(name, options)),
    oomVerb(),
    verb("rm NAME...", "remove containers that have ended")
      .argument("<name...>")
      .option("-f, --force", "kill them first; clear away what a dead shim left")
      .addOption(namespaceOption())
      .action(async (names, options) => (await import("./rm.js")).remove(names, options)),
    verb("doctor", "say what this host offers and lacks, and what to do about it").action(async (options) =>
      (await import("./doctor.js")).doctor(options),
    ),
    verb("version", "print the versions that work together here").action(async (options) =>
      (await import("./version.js")).version(options),
    ),
  ];
}

function runVerb(): Command {
  return verb("run [--] COMMAND [ARGUMENT...]", "run a command in a new container, and tell why it died")
    .argument("[command...]")
    .passThroughOptions()
    .option("--name <name>", "the container's name (default: the command and six digits)")
    .option("-d, --detach", "leave it running; its output goes to a log: vigil logs NAME")
    .option("--rm", "remove it after its exit")
    .option("-i, --interactive", "pass standard input on")
    .option("-t, --tty", "give it a terminal")
    .option("-m, --memory <size>", "memory limit, such as 64m or 1.5g", parseBytes)
    .option("--cpus <number>", "processor limit, such as 0.5", parsePositive)
    .option("--pids <number>", "limit of processes and threads", parseCount)
    .option("--rootfs <directory>", "its root file system, written to as it is (default: a private busybox)")
    .option("--read-only", "make the root file system read-only")
    .option("--bundle <directory>", "an OCI bundle: its config.json says everything about the container")
    .option("-e, --env <name=value>", "environment variable, again for more", parseEnvironment)
    .option("-w, --workdir <directory>", "directory to start in")
    .option("-u, --user <uid[:gid]>", "user and group, as numbers", parseUser)
    .option("--hostname <name>", "host name (default: the container's name)")
    .addOption(new Option("--net <kind>", "network: only loopback, or the host's").choices(["none", "host"]))
    .option("--runtime <command>", "an OCI runtime such as runc or crun, in place of vigil's own")
    .action(async (argv, options) => (await import("./run.js")).run(argv, options));
}

function execVerb(): Command {
  return verb("exec NAME COMMAND [ARGUMENT...]", "run another command in a running container")
    .argument("<name>")
    .argument("[command...]")
    .passThroughOptions()
    .option("-i, --interactive", "pass standard input on")
    .option("-t, --tty", "give it a terminal")
    .option("-e, --env <name=value>", "environment variable, again for more", parseEnvironment)
    .option("-w, --workdir <directory>", "directory to start in")
    .option("-u, --user <uid[:gid]>", "user and group, as numbers", parseUser)
    .addOption(namespaceOption())
    .action(async (name, argv, options) => (await import("./exec.js")).exec(name, argv, options));
}

function killVerb(): Command {
  return verb("kill NAME...", "send a signal to containers")
    .argument("<name...>")
    .option("-s, --signal <signal>", "name or number (default: TERM)", parseSignal)
    .option("-a, --all", "to every process of the container, not only its init")
    .addOption(namespaceOption())
    .action(async (names, options) => (await import("./kill.js")).kill(names, options));
}

function eventsVerb(): Command {
  return verb("events", "print what happened to containers")
    .option("-f, --follow", "go on with what happens from now on")
    .option("--since-seq <number>", "only events after this number; each shim counts its own", parseSequence)
    .option("--container <name>", "only of this container, again for more", collect)
    .option("--topic <topic>", "only such as /tasks/oom, again for more", parseTopic)
    .addOption(namespaceOption())
    .action(async (options) => (await import("./events.js")).events(options));
}

function oomVerb(): Command {
  const oom = verb("oom", "what is known about containers that ran out of memory");
  oom.addCommand(
    verb("list", "every known OOM kill, oldest first")
      .addOption(namespaceOption())
      .action(async (options) => (await import("./oom.js")).listOoms(options)),
    { isDefault: true },
  );
  oom.addCommand(
    verb("show NAME|REPORT", "explain one: which process, how much memory, whose limit, what to do")
      .argument("<name>")
      .addOption(namespaceOption())
      .action(async (name, options) => (await import("./oom.js")).showOom(name, options)),
  );
  return oom;
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

function parseTopic(topic: string, previous: readonly string[] = []): string[] {
  if (!topic.startsWith("/")) throw new InvalidArgumentError("topics begin with a slash: /tasks/oom, /tasks/exit.");
  return [...previous, topic];
}
