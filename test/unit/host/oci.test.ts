// Another OCI runtime's command line against a core that keeps what it is told and answers as a test says.
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CgroupHost } from "../../../src/host/cgroup/detect.js";
import { placementFound } from "../../../src/host/cgroup/found.js";
import type { Birth, OciBirth } from "../../../src/host/core/birth.js";
import { CoreError, type OciCommands } from "../../../src/host/core/commands.js";
import { createOciRuntime } from "../../../src/host/runtime/oci-cli.js";
import { ociFailure } from "../../../src/host/runtime/oci-failure.js";
import type { CheckpointSpec, CreateSpec, RuntimeOptions } from "../../../src/task/ports.js";

const EREMOTEIO = 121;

const host: CgroupHost = {
  mode: "v1",
  hierarchies: ["cpu,cpuacct", "memory", "pids", "name=systemd"].map((options) => ({
    version: 1,
    mountPoint: `/nosuch/cgroup/${options}`,
    controllers: options.split(",").filter((word) => !word.startsWith("name=")),
    options,
  })),
};

describe("the cgroups of somebody else's container", () => {
  const own = "4:name=systemd:/shim\n3:memory:/shim\n2:cpuacct,cpu:/\n1:pids:/\n";
  const found = (init: string) => placementFound(host, init, own);

  test("are where its init is, whatever the order of controllers", () => {
    const placement = found("4:name=systemd:/a/c\n3:memory:/a/c\n2:cpuacct,cpu:/a/c\n1:pids:/a/c\n0::/\n");
    expect(placement.path).toBe("/a/c");
    expect(placement.places.map(({ directory }) => directory)).toEqual(
      host.hierarchies.map(({ mountPoint }) => `${mountPoint}/a/c`),
    );
  });

  test("are not ours, nor one that holds ours, nor the root", () => {
    const placement = found("4:name=systemd:/shim\n3:memory:/a/c\n2:cpuacct,cpu:/\n1:pids:/a/c\n");
    expect(placement.places.map(({ options }) => options)).toEqual(["memory", "pids"]);
    expect(placementFound(host, "3:memory:/a\n", "3:memory:/a/b\n").places).toEqual([]);
    expect(found(own).places).toEqual([]);
  });

  test("a hierarchy in which it is elsewhere does not count", () => {
    expect(found("3:memory:/a/c\n1:pids:/a/other\n").places.map(({ options }) => options)).toEqual(["pids"]);
  });

  test("are none when its init could not be asked", () => {
    expect(found("").places).toEqual([]);
  });
});

const refused = (message: string) => new CoreError(EREMOTEIO, 0, message);

describe("failures", () => {
  test.each([
    ["create", '{"level":"error","msg":"runc create failed: \\"x\\"\\n","time":"t"}', 'runc create failed: "x"'],
    ["create", '{ "msg" : "cut short", "time" : "20', "OCI runtime create failed: cut short"],
    ["start", "runc: exit status 1: plain words", "OCI runtime start failed: runc: exit status 1: plain words"],
    ["delete", '{"msg":"busy"}', "failed to delete task: busy"],
    ["kill", '{"msg":"odd"}', "unknown error after kill: odd"],
  ] as const)("of %s quote the runtime: %s", (step, message, words) => {
    expect(ociFailure(step, refused(message))).toMatchObject({
      code: "unknown",
      message: expect.stringContaining(words),
    });
  });

  test.each([
    ['{"msg":"container not running"}', "process already finished"],
    ['{"msg":"kill container: No such process"}', "process already finished"],
    ['{"msg":"container does not exist"}', "no such container"],
  ])("of a kill that came too late are NotFound: %s", (message, words) => {
    expect(ociFailure("kill", refused(message))).toMatchObject({ code: "not_found", message: words });
  });

  test("name a runtime that is not there", () => {
    const thrown = new CoreError(2, 0, 'exec: "no-runc": executable file not found in $PATH');
    const message = `OCI runtime create failed: ${thrown.message}`;
    expect(ociFailure("create", thrown)).toMatchObject({ code: "unknown", message });
  });
});

class FakeCore implements OciCommands {
  readonly told: [command: string, key: string, detail?: unknown][] = [];
  readonly births: { birth: Birth; oci: OciBirth; how: "create" | "restore" }[] = [];
  readonly failures = new Map<string, CoreError>();

  async #answer(command: string, key: string, detail?: unknown): Promise<void> {
    this.told.push([command, key, detail]);
    const failure = this.failures.get(key);
    if (failure) throw failure;
  }
  async birth(): Promise<number> {
    throw new Error("births are the runtime's");
  }
  async restore(): Promise<number> {
    throw new Error("restores are the runtime's");
  }
  async ociBirth(key: string, birth: Birth, oci: OciBirth, how: "create" | "restore") {
    this.births.push({ birth, oci, how });
    await this.#answer("ociBirth", key);
    return { pid: 4242, cgroups: "3:memory:/a/c\n1:pids:/a/c\n" };
  }
  readonly scripts: Uint8Array[] = [];
  script = (key: string, ops: Uint8Array) => {
    this.scripts.push(ops);
    return this.#answer("script", key);
  };
  start = (key: string) => this.#answer("start", key);
  ociStart = (key: string) => this.#answer("ociStart", key);
  watch = (key: string, _: string, watch: Birth["watch"], teardown: string) =>
    this.#answer("watch", key, { cgroup: watch.cgroup, teardown });
  signal = (key: string) => this.#answer("signal", key);
  resize = (key: string) => this.#answer("resize", key);
  closeStdin = (key: string) => this.#answer("closeStdin", key);
  drain = (key: string) => this.#answer("drain", key);
  forget = (key: string) => this.#answer("forget", key);
}

describe("the runtime", () => {
  const options: RuntimeOptions = {
    noPivotRoot: true,
    noNewKeyring: true,
    shimCgroup: "",
    ioUid: 0,
    ioGid: 0,
    binaryName: "crun",
    root: "",
    systemdCgroup: true,
    criuImagePath: "",
    criuWorkPath: "",
  };
  const stdio = { stdin: "", stdout: "", stderr: "", terminal: true };
  let bundle: string;
  let core: FakeCore;
  beforeEach(() => {
    bundle = realpathSync(mkdtempSync(join(tmpdir(), "vigil-oci-")));
    writeFileSync(join(bundle, "config.json"), JSON.stringify({ linux: { namespaces: [{ type: "pid" }] } }));
    core = new FakeCore();
  });
  afterEach(() => rmSync(bundle, { recursive: true }));

  const runtime = () => createOciRuntime(core, { namespace: "ns", runDirectory: "/run/v", detect: () => host });
  const request = (): CreateSpec => ({ id: "c", bundle, rootfs: [], stdio, options, checkpoint: "" });

  test("is given the options, the pid file and a socket for the terminal", async () => {
    const { pid, privatePids, handle } = await runtime().create("k", request());
    expect({ pid, privatePids, cgroup: handle.cgroup }).toEqual({ pid: 4242, privatePids: true, cgroup: "/a/c" });
    const { program, undo, pidFile, consoleSocket } = core.births[0]?.oci ?? expect.fail("no birth");
    const begin = ["crun", "--root", "/run/containerd/runc/ns", "--systemd-cgroup", "--log", program.log];
    const create = ["create", "--bundle", bundle, "--pid-file", pidFile, "--console-socket", consoleSocket];
    expect(program.argv).toEqual([...begin, "--log-format", "json", ...create, "--no-pivot", "--no-new-keyring", "c"]);
    expect(undo.argv.slice(-3)).toEqual(["delete", "--force", "c"]);
    // sun_path holds 107 bytes and a zero.
    expect(consoleSocket.length - "/run/v".length).toBeLessThan(60);
  });

  test("is in the teardown record before it runs, and its cgroups afterwards", async () => {
    await runtime().create("k", request());
    const runtimeLines = ["crun", "--root", "/run/containerd/runc/ns", "--systemd-cgroup", "delete", "--force", "c"];
    const lines = runtimeLines.map((word) => `runtime ${word}\n`).join("");
    expect(core.births[0]?.birth.teardown).toContain(lines);
    expect(core.births[0]?.birth.teardown).not.toContain("cgroup ");
    expect(core.told.at(-1)).toEqual([
      "watch",
      "k/watch",
      expect.objectContaining({ cgroup: "/nosuch/cgroup/memory/a/c" }),
    ]);
    expect(JSON.stringify(core.told.at(-1))).toContain("cgroup 1 /nosuch/cgroup/memory/a/c");
  });

  test("is told to delete what cannot be watched", async () => {
    core.failures.set("k/watch", new CoreError(5, 0, "watch"));
    await expect(runtime().create("k", request())).rejects.toMatchObject({ code: "unknown" });
    expect(core.told.slice(-3).map(([command, key]) => [command, key])).toEqual([
      ["script", "k/delete"],
      ["script", "k/remove"],
      ["forget", "k/forget"],
    ]);
  });

  test("may have forgotten the container before its deletion", async () => {
    const { handle } = await runtime().create("k", request());
    core.failures.set("d/delete", refused('{"msg":"container \\"c\\" does not exist"}'));
    await runtime().remove("d", { id: "c", bundle, handle });
    core.failures.set("e/delete", refused('{"msg":"device busy"}'));
    const failed = expect.objectContaining({ message: "failed to delete task: device busy" });
    await expect(runtime().remove("e", { id: "c", bundle, handle })).rejects.toEqual(failed);
  });

  test("starts what it has made, and an exec has a file for its process", async () => {
    const { handle } = await runtime().create("k", request());
    const container = { id: "c", bundle, handle };
    await runtime().start("s", container);
    expect(core.told.at(-1)).toEqual(["ociStart", "s/start", undefined]);
    const spec = { execId: "e", stdio: { ...stdio, terminal: false }, process: '{"args":["x"],"terminal":true}' };
    expect(await runtime().exec("x", container, spec)).toBe(4242);
    const { birth, oci } = core.births[1] ?? expect.fail("no birth");
    expect(Buffer.from(birth.script).toString()).toContain('{"args":["x"],"terminal":false}');
    expect(oci.program.argv).toContain("--detach");
    expect(oci.consoleSocket).toBe("");
  });

  const restoring = (): CreateSpec => ({ ...request(), checkpoint: "/images" });
  const all: CheckpointSpec = {
    imageDirectory: "/images",
    workDirectory: "/work",
    exit: true,
    openTcp: true,
    externalUnixSockets: true,
    terminal: true,
    fileLocks: true,
    emptyNamespaces: ["network"],
    cgroupsMode: "strict",
  };
  const programs = () => core.scripts.map((bytes) => Buffer.from(bytes).toString("latin1"));

  test("restores at the start, and what it made is remembered then", async () => {
    const created = await runtime().create("k", restoring());
    expect(created).toMatchObject({ pid: 0, privatePids: true });
    expect(core.told).toEqual([]);
    const handle = await runtime().start("s", { id: "c", bundle, handle: created.handle });
    const { oci, how } = core.births[0] ?? expect.fail("no birth");
    const { program, pidFile, consoleSocket } = oci;
    const work = pidFile.slice(0, pidFile.lastIndexOf("/"));
    const begin = ["restore", "--detach", "--image-path", "/images", "--work-path", work, "--bundle", bundle];
    const terminal = ["--console-socket", consoleSocket];
    expect(program.argv.slice(8)).toEqual([...begin, "--pid-file", pidFile, ...terminal, "--no-pivot", "c"]);
    expect(how).toBe("restore");
    expect(core.told.map(([command]) => command)).toEqual(["ociBirth", "watch"]);
    expect(handle).toMatchObject({ cgroup: "/a/c" });
    expect(handle).not.toHaveProperty("restore");
  });

  test("ends a restored container that cannot be watched; what remains is its deletion's", async () => {
    const { handle } = await runtime().create("k", restoring());
    core.failures.set("s/watch", new CoreError(5, 0, "watch"));
    await expect(runtime().start("s", { id: "c", bundle, handle })).rejects.toMatchObject({
      message: expect.stringContaining("OCI runtime restore failed"),
    });
    expect(core.told.map(([command, key]) => [command, key])).toEqual([
      ["ociBirth", "s/birth"],
      ["watch", "s/watch"],
      ["script", "s/end"],
      ["script", "s/log"],
    ]);
  });

  test("takes checkpoints with the options that it was asked for", async () => {
    const { handle } = await runtime().create("k", request());
    const container = { id: "c", bundle, handle };
    await runtime().checkpoint("p", container, all);
    const plain = { ...all, exit: false, openTcp: false, externalUnixSockets: false, terminal: false };
    await runtime().checkpoint("q", container, { ...plain, fileLocks: false, emptyNamespaces: [], cgroupsMode: "" });
    const [full = "", few = ""] = programs();
    const words = ["checkpoint", "--image-path", "--work-path", "--tcp-established", "--ext-unix-sk", "--shell-job"];
    for (const word of [...words, "--file-locks", "--empty-ns", "network", "--manage-cgroups-mode", "strict", "/work"])
      expect(full).toContain(word);
    expect(full).not.toContain("--leave-running");
    expect(few).toContain("--leave-running");
    for (const word of words.slice(3)) expect(few).not.toContain(word);
  });

  test("that fails is quoted with the first telling error of CRIU's log, which is kept in the bundle", async () => {
    const { handle } = await runtime().create("k", request());
    const work = mkdtempSync(join(bundle, "work-"));
    const log = [
      "(00.01) Error (criu/util.c:1534): rlimit: Can't setup RLIMIT_NOFILE",
      'Error (criu/util.c:641): execvp("iptables-restore", ...) failed',
      "(00.02) Error (criu/tty.c:403): tty: Found slave peer 0 without a master",
      "(00.02) Error (criu/cr-dump.c:1681): Dump files (pid: 8625) failed with -1",
      "(00.03) Error (criu/cr-dump.c:2096): Dumping FAILED.",
    ];
    writeFileSync(join(work, "dump.log"), log.join("\n"));
    core.failures.set("p/dump", refused('{"msg":"criu failed: type DUMP errno 0\\nlog file: /x"}'));
    const failing = runtime().checkpoint("p", { id: "c", bundle, handle }, { ...all, workDirectory: work });
    await expect(failing).rejects.toMatchObject({
      code: "unknown",
      message: `OCI runtime checkpoint failed: criu failed: type DUMP errno 0 log file: /x: tty: Found slave peer 0 without a master path= ${bundle}/criu-dump.log`,
    });
    expect(programs().at(-1)).toContain(log[1]);

    core.failures.set("q/dump", refused('{"msg":"exec: \\"criu\\": executable file not found in $PATH"}'));
    const missing = runtime().checkpoint("q", { id: "c", bundle, handle }, { ...all, workDirectory: "/nosuch" });
    await expect(missing).rejects.toMatchObject({
      message: 'OCI runtime checkpoint failed: exec: "criu": executable file not found in $PATH',
    });
  });
});
