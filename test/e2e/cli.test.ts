// The command line for people, on the real shim, without any container manager.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type CommandOptions, eventually, startCommand } from "../support/command.js";

const top = join(import.meta.dirname, "../..");
const program = join(top, "build/bin/vigil");
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: containers need root");

let directory: string;
let count = 0;

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function env(): NodeJS.ProcessEnv {
  return { ...process.env, VIGIL_RUN: join(directory, "run"), VIGIL_STATE: join(directory, "state"), NO_COLOR: "1" };
}

function start(args: readonly string[], options: CommandOptions = {}) {
  return startCommand([program, ...args], { env: env(), ...options });
}

async function vigil(args: readonly string[], options: CommandOptions = {}): Promise<Printed> {
  const { code, stdout, stderr } = await start(args, options).result;
  return { code, out: stdout.toString(), err: stderr.toString() };
}

function freshName(): string {
  return `people-${process.pid}-${count++}`;
}

function core(name: string): { pid: number; daemon: () => number | undefined } {
  const text = readFileSync(join(directory, "run/cores/vigil", name, "core"), "utf8");
  const pid = Number(/^pid=(\d+)$/m.exec(text)?.[1]);
  const daemon = () => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
    return children.find((child) => readFileSync(`/proc/${child}/cmdline`, "utf8").includes("boot.cjs"));
  };
  return { pid, daemon };
}

/** Whatever belongs to a container of these tests and is still there. */
function leftovers(): string[] {
  const mark = `people-${process.pid}-`;
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const processes = readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid))
    .map((pid) => [pid, readIfThere(`/proc/${pid}/cmdline`) + readIfThere(`/proc/${pid}/cgroup`)] as const)
    .filter(([pid, text]) => Number(pid) !== process.pid && text.includes(mark));
  const files = ["bundles/vigil", "cores/vigil", "io", "s"].flatMap((part) => namesIn(join(directory, "run", part)));
  return [
    ...mounts.filter((line) => line.includes(directory)).map((line) => `mount ${line}`),
    ...processes.map(([pid, text]) => `process ${pid} ${text.replaceAll("\0", " ")}`),
    ...files.map((name) => `file ${name}`),
    ...cgroupTrees().flatMap((tree) =>
      readdirSync(tree)
        .filter((name) => name.includes(mark))
        .map((name) => join(tree, name)),
    ),
  ];
}

function namesIn(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

function cgroupTrees(): string[] {
  const root = "/sys/fs/cgroup";
  return existsSync(join(root, "cgroup.controllers")) ? [root] : readdirSync(root).map((name) => join(root, name));
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    // The process ended between the listing and this.
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return "";
    throw error;
  }
}

describe.runIf(isRoot)("vigil, the command line", () => {
  beforeAll(async () => {
    directory = await mkdtemp("/tmp/vigil-people-");
  });

  afterEach(async () => {
    const clean = () => (leftovers().length === 0 ? true : undefined);
    const found = await eventually("nothing is left", clean, 10_000).then(() => [], leftovers);
    // So that what one test left does not fail the next.
    for (const name of namesIn(join(directory, "run/bundles/vigil"))) await vigil(["rm", "-f", name]);
    expect(found).toEqual([]);
  });

  afterAll(async () => {
    if (directory) await rm(directory, { recursive: true });
  });

  test("run relays output, input and status", async () => {
    const name = freshName();
    const script = "echo out; echo err >&2; exit 3";
    expect(await vigil(["run", "--rm", "--name", name, "sh", "-c", script])).toEqual({
      code: 3,
      out: "out\n",
      err: "err\n",
    });
    const stdin = "x".repeat(3_000_000);
    const echoed = await vigil(["run", "--rm", "-i", "--name", name, "cat"], { stdin });
    expect({ code: echoed.code, length: echoed.out.length, err: echoed.err }).toEqual({
      code: 0,
      length: 3_000_000,
      err: "",
    });
  });

  test("run gives what was asked for", async () => {
    const name = freshName();
    const script = "id -u; id -g; pwd; echo $A; hostname; cat /proc/self/cgroup | wc -l; touch /x; echo $?";
    const args = ["-u", "1000:100", "-w", "/tmp", "-e", "A=b c", "--hostname", "here", "--read-only"];
    const { out } = await vigil(["run", "--rm", "--name", name, ...args, "sh", "-c", script]);
    const [uid, gid, cwd, variable, hostname, , touched] = out.split("\n");
    expect([uid, gid, cwd, variable, hostname, touched]).toEqual(["1000", "100", "/tmp", "b c", "here", "1"]);
  });

  test("the default root file system is private to each container", async () => {
    const name = freshName();
    expect((await vigil(["run", "--rm", "--name", name, "sh", "-c", "touch /mark && ls /mark"])).out).toBe("/mark\n");
    expect((await vigil(["run", "--rm", "--name", name, "ls", "/mark"])).code).toBe(1);
    expect(existsSync(join(top, "build/lib/vigil/rootfs/mark"))).toBe(false);
  });

  test("run --bundle takes config.json as it is", async () => {
    const name = freshName();
    const bundle = join(directory, "bundle");
    await cp(join(top, "build/lib/vigil/rootfs"), join(bundle, "rootfs"), { recursive: true, verbatimSymlinks: true });
    const config = {
      ociVersion: "1.0.2",
      process: { args: ["sh", "-c", "pwd; exit 5"], cwd: "/etc", user: { uid: 0, gid: 0 }, env: ["PATH=/bin"] },
      root: { path: "rootfs" },
      mounts: [{ destination: "/proc", type: "proc", source: "proc" }],
      linux: { cgroupsPath: `/vigil-${name}`, namespaces: [{ type: "pid" }, { type: "mount" }] },
    };
    await writeFile(join(bundle, "config.json"), JSON.stringify(config));
    expect(await vigil(["run", "--rm", "--name", name, "--bundle", bundle])).toEqual({
      code: 5,
      out: "/etc\n",
      err: "",
    });
    expect(existsSync(join(bundle, "config.json"))).toBe(true);
  });

  test("an OOM kill is explained, and still is after the container was removed", async () => {
    const name = freshName();
    const ran = await vigil(["run", "--name", name, "-m", "32m", "tail", "/dev/zero"]);
    expect({ code: ran.code, out: ran.out }).toEqual({ code: 137, out: "" });
    expect(ran.err).toContain(`${name} ran out of memory`);
    expect(ran.err).toContain("the container's own limit of 32 MiB");
    const listed = JSON.parse((await vigil(["ps", "--json"])).out) as object[];
    expect(listed).toMatchObject([{ id: name, status: "stopped", exitStatus: 137, oomKills: "1" }]);
    const events = (await vigil(["events", "--json", "--container", name])).out.trim().split("\n");
    const topics = events.map((line) => (JSON.parse(line) as { topic: string }).topic);
    expect(topics).toEqual(["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit"]);
    const since = (await vigil(["events", "--json", "--container", name, "--since-seq", "3"])).out.trim().split("\n");
    expect(since).toEqual(events.slice(3));
    expect((await vigil(["rm", name])).code).toBe(0);
    const shown = await vigil(["oom", "show", "--json", name]);
    expect(JSON.parse(shown.out)).toMatchObject({ cause: "own limit", scope: "init", limitBytes: String(32 << 20) });
    expect((await vigil(["oom", "list"])).out).toContain(name);
  });

  test("no OOM is told of a container killed by hand", async () => {
    const name = freshName();
    const { err, code } = await vigil([
      "run",
      "--rm",
      "--name",
      name,
      "-m",
      "64m",
      "sh",
      "-c",
      "sh -c 'kill -9 $$'; exit 137",
    ]);
    expect({ code, told: err.includes("ran out of memory") }).toEqual({ code: 137, told: false });
    expect((await vigil(["oom", "show", name])).code).toBe(1);
  });

  test("a detached container: exec, logs, stats, pause, kill, wait", async () => {
    const name = freshName();
    const script = "trap 'echo bye; exit 9' TERM; echo hello; while :; do sleep 0.1; done";
    expect((await vigil(["run", "-d", "--name", name, "-m", "64m", "--pids", "20", "sh", "-c", script])).out).toBe(
      `${name}\n`,
    );
    const inner = await vigil(
      ["exec", "-i", "-e", "A=1", "-w", "/tmp", name, "sh", "-c", "pwd; cat; echo $A; exit 4"],
      {
        stdin: "in ",
      },
    );
    expect(inner).toEqual({ code: 4, out: "/tmp\nin 1\n", err: "" });
    expect((await vigil(["exec", name, "sh", "-c", "kill -9 $$"])).code).toBe(137);
    expect((await vigil(["exec", name, "no-such-program"])).code).toBe(127);
    const usage = JSON.parse((await vigil(["stats", "--no-stream", "--json", name])).out) as object;
    expect(usage).toMatchObject({ id: name, memoryLimitBytes: String(64 << 20), pidsLimit: "20", oomKills: "0" });
    await vigil(["pause", name]);
    expect((await vigil(["ps"])).out).toMatch(new RegExp(`${name} +vigil +paused`));
    await vigil(["resume", name]);
    const refused = await vigil(["rm", name]);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("is running");
    const following = start(["logs", "-f", name]).result;
    expect((await vigil(["kill", name])).code).toBe(0);
    expect((await vigil(["wait", name])).out).toBe("9\n");
    expect((await following).stdout.toString()).toBe("hello\nbye\n");
    expect((await vigil(["rm", name])).code).toBe(0);
  });

  test("-d --rm removes itself", async () => {
    const name = freshName();
    expect((await vigil(["run", "-d", "--rm", "--name", name, "sleep", "0.5"])).code).toBe(0);
    await eventually("the container is removed", async () =>
      (await vigil(["ps"])).out.includes(name) ? undefined : true,
    );
  });

  test("a terminal: size, keys that make signals, its modes restored", async () => {
    const name = freshName();
    // script(1) makes the terminal; its modes before and after must be the same.
    const run = `${program} run --rm -it --name ${name} sh; echo left with $?`;
    const line = `stty rows 33 cols 77; stty -a >${directory}/before; ${run}; stty -a >${directory}/after`;
    const child = spawn("script", ["-qec", line, "/dev/null"], { env: env(), stdio: ["pipe", "pipe", "inherit"] });
    let shown = "";
    child.stdout.on("data", (chunk: Buffer) => {
      shown += chunk.toString();
    });
    const dialogue = [
      ["# ", "stty size\n"],
      // The words that show it runs are not those that are echoed.
      ["33 77", 'echo "run"ning; sleep 1000\n'],
      ["running", "\x03"],
      ["^C", "exit 7\n"],
      ["left with 7", ""],
    ] as const;
    for (const [awaited, typed] of dialogue) {
      await eventually(
        `${awaited} in ${JSON.stringify(shown)}`,
        () => (shown.includes(awaited) ? true : undefined),
        20_000,
      );
      child.stdin.write(typed);
    }
    await once(child, "exit");
    expect(readFileSync(join(directory, "after"), "utf8")).toBe(readFileSync(join(directory, "before"), "utf8"));
    // Nothing on the way turned a line feed into more than the container's own terminal did.
    expect(shown).not.toContain("\r\r\n");
  });

  test("a daemon that dies is replaced, and nobody notices", async () => {
    const name = freshName();
    const script = "for i in 1 2 3 4 5 6; do echo $i; sleep 0.3; done; exit 9";
    const running = start(["run", "--rm", "--name", name, "sh", "-c", script]);
    await new Promise((resolve) => running.child.stdout?.once("data", resolve));
    const { daemon } = core(name);
    process.kill(await eventually("a daemon", daemon), "SIGKILL");
    const { code, stdout, stderr } = await running.result;
    expect({ code, out: stdout.toString(), err: stderr.toString() }).toEqual({
      code: 9,
      out: "1\n2\n3\n4\n5\n6\n",
      err: "",
    });
  });

  test("what a dead shim left is shown, and cleared away", async () => {
    const name = freshName();
    await vigil(["run", "-d", "--name", name, "sleep", "1000"]);
    process.kill(core(name).pid, "SIGKILL");
    await eventually("the core is dead", async () => ((await vigil(["ps"])).out.includes("dead") ? true : undefined));
    const killed = await vigil(["kill", name]);
    expect(killed.code).toBe(1);
    expect(killed.err).toContain(`vigil rm -f`);
    expect(JSON.parse((await vigil(["doctor", "--json"])).out)).toContainEqual(
      expect.objectContaining({ topic: "shims", level: "warn" }),
    );
    expect(await vigil(["rm", "-f", name])).toEqual({ code: 0, out: "", err: "" });
  });

  test("signals reach the container", async () => {
    const name = freshName();
    const running = start([
      "run",
      "--rm",
      "--name",
      name,
      "sh",
      "-c",
      "trap 'exit 42' TERM; echo up; while :; do sleep 0.1; done",
    ]);
    await new Promise((resolve) => running.child.stdout?.once("data", resolve));
    running.child.kill("SIGTERM");
    expect((await running.result).code).toBe(42);
  });

  test("a reader that leaves ends the container", async () => {
    const name = freshName();
    const pipeline = `${program} run --rm --name ${name} yes | head -1`;
    expect(execFileSync("bash", ["-c", pipeline], { env: env() }).toString()).toBe("y\n");
  });

  test("failures say what and what next, and leave nothing", async () => {
    const missing = await vigil(["run", "--name", freshName(), "no-such-program"]);
    expect(missing.code).toBe(127);
    expect(missing.err).toContain("no-such-program");
    expect((await vigil(["run", "--name", freshName(), "/etc/passwd"])).code).toBe(126);
    const name = freshName();
    await vigil(["run", "-d", "--name", name, "sleep", "1000"]);
    const taken = await vigil(["run", "--name", name, "true"]);
    expect(taken.code).toBe(125);
    expect(taken.err).toContain(`vigil rm -f ${name}`);
    expect((await vigil(["rm", "-f", name])).code).toBe(0);
  });
});
