import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VigilError } from "../../../src/base/errors.js";
import { OomReport, OomReport_Cause, OomReport_Certainty, OomReport_Scope } from "../../../src/gen/vigil/v1/vigil.js";
import { type CommandOptions, type CommandResult, startCommand } from "../../support/command.js";
import { HostShim } from "./host-shim.js";

const top = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const program = [process.execPath, "--import", "tsx", join(top, "src/main.ts")];

let directory: string;
let shim: HostShim;
let rootfs: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "vigil-cli-"));
  rootfs = join(directory, "rootfs");
  await mkdir(rootfs);
  shim = new HostShim(directory);
  await shim.listen();
});

afterEach(async () => {
  await shim.close();
  await rm(directory, { recursive: true });
});

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function printed({ code, stdout, stderr }: CommandResult): Printed {
  return { code, out: stdout.toString(), err: stderr.toString() };
}

function start(args: readonly string[], options: CommandOptions = {}) {
  return startCommand([...program, ...args], { env: { ...shim.env, NO_COLOR: "1" }, ...options });
}

async function vigil(args: readonly string[], options: CommandOptions = {}): Promise<Printed> {
  return printed(await start(args, options).result);
}

async function leftInRun(): Promise<string[]> {
  const names = await readdir(join(directory, "run"), { recursive: true });
  return names.filter((name) => !["bundles", "bundles/vigil", "io"].includes(name)).sort();
}

describe("run", () => {
  test("relays output and exit status, and removes what it made", { timeout: 20_000 }, async () => {
    const script = "echo out; echo err >&2; exit 3";
    const result = await vigil(["run", "--rm", "--rootfs", rootfs, "--name", "a", "--", "sh", "-c", script]);
    expect(result).toEqual({ code: 3, out: "out\n", err: "err\n" });
    expect(await leftInRun()).toEqual([]);
    const common = `-namespace vigil -id a -address  -publish-binary  -bundle ${directory}/run/bundles/vigil/a`;
    const bundle = `${directory}/run/bundles/vigil/a`;
    expect(await shim.actions()).toEqual([`grpc ${bundle} ${common} start`, `grpc ${bundle} ${common} delete`]);
    expect(shim.calls).toEqual(["create", "start", "wait", "oomReports", "delete", "shutdown"]);
  });

  test("loses no byte of a long output", { timeout: 20_000 }, async () => {
    const { code, out } = await vigil(["run", "--rm", "--rootfs", rootfs, "seq", "1", "300000"]);
    expect(code).toBe(0);
    expect(out.length).toBe(1_988_895);
    expect(out.endsWith("\n299999\n300000\n")).toBe(true);
  });

  test("passes standard input on, and its end", { timeout: 20_000 }, async () => {
    const stdin = "x".repeat(1_000_000);
    const { code, out } = await vigil(["run", "--rm", "-i", "--rootfs", rootfs, "wc", "-c"], { stdin });
    expect({ code, out: out.trim() }).toEqual({ code: 0, out: "1000000" });
  });

  test("survives a daemon's death while the container runs", { timeout: 20_000 }, async () => {
    const { child, result } = start(["run", "--rm", "--rootfs", rootfs, "sh", "-c", "echo ready; sleep 1; exit 5"]);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    await expect.poll(() => shim.calls).toContain("wait");
    shim.wire?.killDaemon();
    shim.wire?.startDaemon();
    expect(printed(await result)).toEqual({ code: 5, out: "ready\n", err: "" });
    expect(shim.calls.filter((name) => name === "wait").length).toBe(2);
  });

  test("forwards signals; the container's status says which", { timeout: 20_000 }, async () => {
    const { child, result } = start(["run", "--rm", "--rootfs", rootfs, "sh", "-c", "echo ready; exec sleep 30"]);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    child.kill("SIGTERM");
    expect((await result).code).toBe(143);
  });

  test("a container that cannot be made leaves nothing", { timeout: 20_000 }, async () => {
    shim.before = (method) => {
      if (method === "create") throw new VigilError("unknown", "no such luck");
    };
    const result = await vigil(["run", "--rootfs", rootfs, "true"]);
    expect(result).toEqual({ code: 125, out: "", err: "vigil: no such luck\n" });
    expect(await leftInRun()).toEqual([]);
    expect(shim.calls).toEqual(["create", "shutdown"]);
  });

  test("a program that cannot be started leaves nothing", { timeout: 20_000 }, async () => {
    shim.before = (method) => {
      if (method === "start") throw new VigilError("unknown", "exec format error");
    };
    const result = await vigil(["run", "--rootfs", rootfs, "true"]);
    expect(result).toEqual({ code: 125, out: "", err: "vigil: exec format error\n" });
    expect(await leftInRun()).toEqual([]);
    expect(shim.calls).toEqual(["create", "start", "delete", "shutdown"]);
  });

  test("a name in use is refused, and what has it is untouched", { timeout: 20_000 }, async () => {
    await mkdir(join(directory, "run/bundles/vigil/a"), { recursive: true });
    await writeFile(join(directory, "run/bundles/vigil/a/config.json"), "{}");
    const { code, err } = await vigil(["run", "--name", "a", "--rootfs", rootfs, "true"]);
    expect(code).toBe(125);
    expect(err).toContain("in use by a container of that name");
    expect((await stat(join(directory, "run/bundles/vigil/a/config.json"))).isFile()).toBe(true);
    expect(shim.calls).toEqual([]);
  });

  test("explains an OOM kill after the container's own output", { timeout: 20_000 }, async () => {
    shim.reports = [oomReport];
    const { code, out, err } = await vigil([
      "run",
      "--name",
      "a",
      "--rootfs",
      rootfs,
      "sh",
      "-c",
      "echo last words; exit 137",
    ]);
    expect({ code, out }).toEqual({ code: 137, out: "last words\n" });
    expect(err).toBe(
      [
        "vigil: a ran out of memory",
        "  killed  python (pid 42), holding 60 MiB anonymous, 1 MiB of files, uid 0: the container's init, so the container ended",
        "  limit   the container's own limit of 64 MiB",
        "  memory  64 MiB just before, 64 MiB allowed",
        "  next    allow more than 64 MiB (vigil run --memory), or let the program use less",
        "  more: vigil oom show a",
        "",
      ].join("\n"),
    );
  });

  test("--json reports the end on standard error", { timeout: 20_000 }, async () => {
    shim.reports = [oomReport];
    const { err } = await vigil(["run", "--json", "--rm", "--name", "a", "--rootfs", rootfs, "sh", "-c", "exit 137"]);
    const end = JSON.parse(err) as { exitStatus: number; oomReports: object[] };
    expect(end.exitStatus).toBe(137);
    expect(end.oomReports).toMatchObject([{ cause: "own limit", certainty: "certain", limitBytes: "67108864" }]);
  });

  test("detached: a log, ps, exec, kill, wait, rm", { timeout: 60_000 }, async () => {
    const script = "echo hello; trap 'echo bye; exit 9' TERM; while :; do sleep 0.1; done";
    expect(await vigil(["run", "-d", "--name", "a", "--rootfs", rootfs, "-e", "A=1", "sh", "-c", script])).toEqual({
      code: 0,
      out: "a\n",
      err: "",
    });
    expect((await vigil(["ps"])).out).toMatch(/^NAME .*\na +vigil +running +\d+ +64 MiB +0\n$/);
    const ran = await vigil(["exec", "-i", "-e", "B=2", "a", "sh", "-c", "cat; echo $A$B; exit 4"], { stdin: "in " });
    expect(ran).toEqual({ code: 4, out: "in 12\n", err: "" });
    expect((await vigil(["rm", "-n", "other", "a"])).err).toContain("there is no container named a");
    expect((await vigil(["rm", "a"])).err).toContain("a is running");
    const following = start(["logs", "-f", "a"]);
    expect((await vigil(["kill", "a"])).code).toBe(0);
    expect(await vigil(["wait", "a"])).toEqual({ code: 0, out: "9\n", err: "" });
    expect(printed(await following.result)).toEqual({ code: 0, out: "hello\nbye\n", err: "" });
    expect((await vigil(["logs", "a"])).out).toBe("hello\nbye\n");
    expect(await vigil(["rm", "a"])).toEqual({ code: 0, out: "", err: "" });
    expect(await leftInRun()).toEqual([]);
    expect(await readdir(join(directory, "state/vigil"))).toEqual([]);
  });
});

describe("usage", () => {
  test.each([
    [["run"], "nothing to run"],
    [["run", "-d", "-t", "sh"], "-d leaves no terminal"],
    [["run", "-t", "sh"], "-t needs a terminal"],
    [["run", "--bundle", "b", "-m", "1g"], "leave out memory"],
    [["run", "-m", "lots", "sh"], "64m"],
    [["kill", "-s", "LOUD", "a"], "no such signal"],
    [["nonsense"], "unknown command"],
    [["events", "--topic", "oom"], "begin with a slash"],
  ])("%j exits with 2 and says why", { timeout: 20_000 }, async (args, words) => {
    const { code, out, err } = await vigil(args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain(words);
    expect(err).toMatch(/^vigil: /);
  });
});

const oomReport = OomReport.fromPartial({
  id: "r1",
  containerId: "a",
  namespace: "vigil",
  kills: 1n,
  certainty: OomReport_Certainty.CERTAIN,
  cause: OomReport_Cause.OWN_LIMIT,
  scope: OomReport_Scope.INIT,
  limitBytes: 64n << 20n,
  usageBytes: 64n << 20n,
  victims: [{ pid: 42, name: "python", anonRss: 60n << 20n, fileRss: 1n << 20n }],
});
