// The runtime against a core that keeps what it is told and answers as a test says.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentLog } from "../../../src/base/log.js";
import type { CgroupHost } from "../../../src/host/cgroup/detect.js";
import type { Birth, Restore } from "../../../src/host/core/birth.js";
import { type CoreCommands, CoreError, type CoreSandbox } from "../../../src/host/core/commands.js";
import type { LaterHooks } from "../../../src/host/oci/hooks.js";
import { encodeHandle } from "../../../src/host/runtime/handle.js";
import { createNativeRuntime } from "../../../src/host/runtime/native.js";
import type { ContainerRef, CreateSpec } from "../../../src/task/ports.js";
import { decodeOps, showOps } from "../../support/decode-ops.js";

const ctr = JSON.parse(readFileSync(new URL("../../fixtures/bundle/ctr-1.7.json", import.meta.url), "utf8"));

type Told = { readonly command: string; readonly key: string; readonly detail: unknown };

class FakeCore implements CoreCommands {
  readonly told: Told[] = [];
  readonly births: Birth[] = [];
  /** What a command with this key answers instead of success. */
  readonly failures = new Map<string, CoreError>();

  async #answer(command: string, key: string, detail: unknown): Promise<void> {
    this.told.push({ command, key, detail });
    const failure = this.failures.get(key);
    if (failure) throw failure;
  }

  async birth(key: string, birth: Birth): Promise<number> {
    this.births.push(birth);
    await this.#answer("birth", key, birth.exec);
    return 4242;
  }
  readonly restores: { birth: Birth; restore: Restore }[] = [];
  async restore(key: string, birth: Birth, restore: Restore): Promise<number> {
    this.restores.push({ birth, restore });
    await this.#answer("restore", key, birth.exec);
    return 4242;
  }
  script = (key: string, ops: Uint8Array) => this.#answer("script", key, showOps(ops));
  start = (key: string, container: string) => this.#answer("start", key, container);
  signal = (key: string, ...detail: unknown[]) => this.#answer("signal", key, detail);
  resize = (key: string, ...detail: unknown[]) => this.#answer("resize", key, detail);
  closeStdin = (key: string, ...detail: unknown[]) => this.#answer("closeStdin", key, detail);
  drain = (key: string, ...detail: unknown[]) => this.#answer("drain", key, detail);
  forget = (key: string, ...detail: unknown[]) => this.#answer("forget", key, detail);
  sandbox = (key: string, detail: CoreSandbox) => this.#answer("sandbox", key, detail);
}

let bundle: string;
let core: FakeCore;
beforeEach(() => {
  bundle = realpathSync(mkdtempSync(join(tmpdir(), "vigil-native-")));
  mkdirSync(join(bundle, "rootfs"));
  core = new FakeCore();
});
afterEach(() => rmSync(bundle, { recursive: true }));

const hierarchy = {
  version: 2 as const,
  mountPoint: "/nosuch/cgroup",
  controllers: ["cpu", "memory", "pids"],
  options: "",
};
const detect = (): CgroupHost => ({ mode: "v2", hierarchies: [hierarchy] });
const runtime = () => createNativeRuntime(core, { namespace: "default", log: silentLog, detect });

function request(change: (config: typeof ctr) => void = () => undefined): CreateSpec {
  const config = structuredClone(ctr);
  change(config);
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  return {
    id: "t1",
    bundle,
    rootfs: [],
    stdio: { stdin: "", stdout: "", stderr: "", terminal: false },
    options: {
      noPivotRoot: false,
      noNewKeyring: false,
      shimCgroup: "",
      ioUid: 0,
      ioGid: 0,
      binaryName: "",
      root: "",
      systemdCgroup: false,
      criuImagePath: "",
      criuWorkPath: "",
    },
    checkpoint: "",
  };
}

/** A container whose cgroup is a directory of plain files. */
function container(
  mode: "v1" | "v2",
  files: Record<string, string> = {},
  mountPoint = "",
  later?: LaterHooks,
): ContainerRef {
  const directory = join(bundle, "cgroup", "t1");
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of Object.entries({ "cgroup.procs": "7\n", ...files }))
    writeFileSync(join(directory, name), text);
  const version = mode === "v1" ? (1 as const) : (2 as const);
  const controllers = mode === "v1" ? ["freezer"] : ["memory", "pids"];
  const place = {
    version,
    mountPoint: join(bundle, "cgroup"),
    directory,
    controllers,
    options: mode === "v1" ? "freezer" : "",
  };
  const placement = { mode, path: "/t1", places: [place] };
  const rest = { boundRoot: "", keyring: "", ioUid: 0, ioGid: 0, later };
  const handle = encodeHandle({ placement, namespaces: 0x20000n, pid: 7, mountPoint, ...rest });
  return { id: "t1", bundle, handle };
}

const scripts = () =>
  core.told
    .filter(({ command }) => command === "script")
    .map(({ key, detail }) => [key, (detail as string[]).map((line) => line.replaceAll(bundle, ""))]);

const opIndex = (name: string): number => {
  const [birth] = core.births;
  if (!birth) throw new Error("no birth");
  return [...decodeOps(birth.script), ...decodeOps(birth.ops)].findIndex((op) => op.name === name);
};

describe("create", () => {
  test("is one birth, and gives what the container is later known by", async () => {
    const created = await runtime().create("t:1:2", request());
    expect(created.pid).toBe(4242);
    expect(created.privatePids).toBe(true);
    expect(core.told).toEqual([{ command: "birth", key: "t:1:2/birth", detail: "" }]);
    const ref = { id: "t1", bundle, handle: created.handle };
    await runtime().exec("t:1:3", ref, {
      execId: "e1",
      stdio: { stdin: "", stdout: "", stderr: "", terminal: false },
      process: '{"args":["id"],"cwd":"/"}',
    });
    expect(core.births[1]?.initNamespaces).toBe(core.births[0]?.cloneFlags);
    expect(core.births[1]?.cgroup).toEqual(core.births[0]?.cgroup);
    expect(core.told[1]).toMatchObject({ command: "birth", key: "t:1:3/birth", detail: "e1" });
  });

  test("a shared pid namespace is told", async () => {
    const shared = request((config) => config.linux.namespaces.shift());
    expect((await runtime().create("k", shared)).privatePids).toBe(false);
  });

  test("a missing program has runc's words", async () => {
    const wanted = request();
    core.failures.set("k/birth", new CoreError(2, 0, ""));
    await expect(runtime().create("k", wanted)).rejects.toThrow();
    const words = 'exec: "nosuch": executable file not found in $PATH';
    core.failures.set("k/birth", new CoreError(2, opIndex("FIND"), words));
    await expect(runtime().create("k", wanted)).rejects.toThrow(
      expect.objectContaining({
        code: "unknown",
        message: `OCI runtime create failed: unable to start container process: ${words}`,
      }),
    );
  });

  test("an occupied cgroup is named", async () => {
    const wanted = request();
    core.failures.set("k/birth", new CoreError(2, 0, ""));
    await expect(runtime().create("k", wanted)).rejects.toThrow();
    core.failures.set(
      "k/birth",
      new CoreError(16, opIndex("CGROUP_EMPTY"), "cgroup /x is not empty: process 5 is in it"),
    );
    await expect(runtime().create("k", wanted)).rejects.toThrow(
      expect.objectContaining({
        code: "failed_precondition",
        message: expect.stringContaining("container's cgroup is not empty"),
      }),
    );
  });

  test.each([
    [1, "permission_denied"],
    [2, "unknown"],
    [12, "resource_exhausted"],
    [22, "invalid_argument"],
    [95, "unimplemented"],
    [110, "deadline_exceeded"],
    [5, "unknown"],
  ])("error number %i is %s", async (number, code) => {
    core.failures.set("k/birth", new CoreError(number, 0, "mount proc at /proc: it failed"));
    await expect(runtime().create("k", request())).rejects.toThrow(
      expect.objectContaining({ code, message: "OCI runtime create failed: mount proc at /proc: it failed" }),
    );
  });

  test("a bad configuration reaches no core", async () => {
    const wanted = request((config) => (config.process.args = [1]));
    await expect(runtime().create("k", wanted)).rejects.toThrow(
      "OCI runtime create failed: config.json: process.args[0]: expected string, got number",
    );
    expect(core.told).toEqual([]);
  });
});

describe("signals", () => {
  test("a process that is gone", async () => {
    core.failures.set("k/signal", new CoreError(3, 0, "no such process"));
    await expect(runtime().signal("k", container("v2"), "", 15)).rejects.toThrow(
      expect.objectContaining({ code: "not_found", message: "process already finished" }),
    );
  });

  test("a kill thaws a frozen v1 container, which would not die; other signals leave it", async () => {
    const frozen = container("v1", { "freezer.state": "FROZEN\n" });
    await runtime().signal("k", frozen, "", 15);
    expect(scripts()).toEqual([]);
    await runtime().signal("k", frozen, "", 9);
    expect(scripts()).toEqual([["k/thaw", ['CGROUP_FREEZE 1 "/cgroup/t1" 0 10000']]]);
    expect(core.told.map(({ command }) => command)).toEqual(["signal", "signal", "script"]);
  });

  test("to all", async () => {
    await runtime().signalAll("a", container("v2"), 9);
    await runtime().signalAll("b", container("v2"), 1);
    expect(scripts()).toEqual([
      ["a/kill", ['CGROUP_KILL ["/cgroup/t1"]']],
      ["b/signal", ['CGROUP_SIGNAL "/cgroup/t1" 1']],
    ]);
  });
});

test("pause and resume", async () => {
  await runtime().pause("a", container("v2"));
  await runtime().resume("b", container("v1"));
  expect(scripts()).toEqual([
    ["a/pause", ['CGROUP_FREEZE 2 "/cgroup/t1" 1 10000']],
    ["b/resume", ['CGROUP_FREEZE 1 "/cgroup/t1" 0 10000']],
  ]);
});

describe("update", () => {
  const files = { "memory.max": "100\n", "pids.max": "max\n" };

  test("a failure leaves the old values and is the one that is told", async () => {
    core.failures.set("k/update", new CoreError(22, 1, 'write "5" to memory.max: Invalid argument'));
    core.failures.set("k/undo", new CoreError(5, 0, "worse"));
    await expect(
      runtime().update("k", container("v2", files), '{"memory":{"limit":5},"pids":{"limit":3}}'),
    ).rejects.toThrow(
      expect.objectContaining({
        code: "invalid_argument",
        message: 'OCI runtime update failed: write "5" to memory.max: Invalid argument',
      }),
    );
    expect(scripts()).toEqual([
      ["k/update", ['WRITE "/cgroup/t1/pids.max" "3"', 'WRITE "/cgroup/t1/memory.max" "5"']],
      ["k/undo", ['WRITE? "/cgroup/t1/memory.max" "100"', 'WRITE? "/cgroup/t1/pids.max" "max"']],
    ]);
  });

  test("bad resources change nothing", async () => {
    await expect(runtime().update("k", container("v2"), '{"memory":{"limit":"5"}}')).rejects.toThrow(
      "OCI runtime update failed: resources.memory.limit: expected an integer, got string",
    );
    expect(core.told).toEqual([]);
  });
});

test("remove kills, removes, unmounts, forgets, in this order", async () => {
  await runtime().remove("k", container("v2", {}, "/b/rootfs"));
  expect(scripts()).toEqual([
    ["k/remove", ['CGROUP_KILL ["/cgroup/t1"]', 'CGROUP_REMOVE "/cgroup/t1" 10000', 'UMOUNT_TREE "/b/rootfs"']],
  ]);
  expect(core.told.at(-1)).toEqual({ command: "forget", key: "k/forget", detail: ["t1", ""] });
  await runtime().remove("l", container("v2"));
  expect(scripts().at(-1)).toEqual(["l/remove", ['CGROUP_KILL ["/cgroup/t1"]', 'CGROUP_REMOVE "/cgroup/t1" 10000']]);
});

describe("hooks", () => {
  const later: LaterHooks = {
    ociVersion: "1.2.0",
    annotations: [["a", "1"]],
    poststart: [
      { path: "/up", args: [], env: [], timeout: 2 },
      { path: "/up2", args: ["up2", "x"], env: ["A=b"], timeout: undefined },
    ],
    poststop: [
      { path: "/down", args: [], env: [], timeout: undefined },
      { path: "/down2", args: [], env: [], timeout: undefined },
    ],
  };
  const state = (status: string, pid = "") =>
    JSON.stringify(`{"ociVersion":"1.2.0","id":"t1","status":"${status}"${pid},"bundle":"","annotations":{"a":"1"}}`);

  test("poststart: after the start", async () => {
    await runtime().start("k", container("v2", {}, "", later));
    expect(core.told[0]).toMatchObject({ command: "start", key: "k/start" });
    expect(scripts()).toEqual([
      ["k/poststart-0", [`HOOK "poststart hook #0" "/up" ["/up"] [] 2000 "" ${state("running", ',"pid":7')}`]],
      ["k/poststart-1", [`HOOK "poststart hook #1" "/up2" ["up2" "x"] ["A=b"] 0 "" ${state("running", ',"pid":7')}`]],
    ]);
  });

  test("poststart: a failure ends the container, and the start", async () => {
    core.failures.set("k/poststart-0", new CoreError(5, 0, "error running poststart hook #0: exit status 1"));
    await expect(runtime().start("k", container("v2", {}, "", later))).rejects.toThrow(
      expect.objectContaining({
        code: "unknown",
        message: "OCI runtime start failed: error running poststart hook #0: exit status 1",
      }),
    );
    expect(core.told.map(({ command, key }) => [command, key])).toEqual([
      ["start", "k/start"],
      ["script", "k/poststart-0"],
      ["signal", "k/poststart-kill"],
    ]);
    expect(core.told.at(-1)?.detail).toEqual(["t1", "", 9]);
  });

  test("a start that fails has none", async () => {
    core.failures.set("k/start", new CoreError(5, 0, "error running startContainer hook #0: exit status 1"));
    await expect(runtime().start("k", container("v2", {}, "", later))).rejects.toThrow("startContainer hook #0");
    expect(core.told.map(({ command }) => command)).toEqual(["start"]);
  });

  test("poststop: all run, before the core forgets; a failure is a warning", async () => {
    core.failures.set("k/poststop-0", new CoreError(5, 0, "error running poststop hook #0: exit status 1"));
    await runtime().remove("k", container("v2", {}, "", later));
    expect(core.told.map(({ key }) => key)).toEqual(["k/remove", "k/poststop-0", "k/poststop-1", "k/forget"]);
    expect(scripts()[1]).toEqual([
      "k/poststop-0",
      [`HOOK "poststop hook #0" "/down" ["/down"] [] 0 "" ${state("stopped")}`],
    ]);
  });

  test("poststop: after a creation that failed", async () => {
    const wanted = request((config) => (config.hooks = { poststop: [{ path: "/down" }] }));
    core.failures.set("k/birth", new CoreError(5, 0, "error running createRuntime hook #0: exit status 1"));
    await expect(runtime().create("k", wanted)).rejects.toThrow("createRuntime hook #0");
    expect(core.told.map(({ key }) => key)).toEqual(["k/birth", "k/poststop-0"]);
  });

  test("the configuration that counts is the one of the creation", async () => {
    const { handle } = await runtime().create(
      "k",
      request((config) => (config.hooks = { poststop: [{ path: "/down" }] })),
    );
    request((config) => (config.hooks = { poststop: [{ path: "/other" }] }));
    await runtime().remove("l", { id: "t1", bundle, handle });
    expect(scripts()[1]?.[1]?.[0]).toContain('"/down"');
  });
});

test("pids and statistics are read from the container's cgroup", async () => {
  const ref = container("v2", { "pids.max": "9\n" });
  expect(await runtime().pids(ref)).toEqual([7]);
  expect((await runtime().stats(ref)).typeUrl).toBe("io.containerd.cgroups.v2.Metrics");
  expect((await runtime().stats(container("v1"))).typeUrl).toBe("io.containerd.cgroups.v1.Metrics");
  rmSync(join(bundle, "cgroup"), { recursive: true });
  expect(await runtime().pids(ref)).toEqual([]);
  await expect(runtime().stats(ref)).rejects.toThrow("cgroup does not exist");
});

test("what is only passed on", async () => {
  const ref = container("v2");
  await runtime().start("a", ref);
  await runtime().resize("b", ref, "e", 80, 24);
  await runtime().closeStdin("c", ref, "e");
  await runtime().drain("d", ref, "e", 5);
  await runtime().forgetExec("f", ref, "e");
  expect(core.told.map(({ command, key, detail }) => [command, key, detail])).toEqual([
    ["start", "a/start", "t1"],
    ["resize", "b/resize", ["t1", "e", 80, 24]],
    ["closeStdin", "c/close-stdin", ["t1", "e"]],
    ["drain", "d/drain", ["t1", "e", 5]],
    ["forget", "f/forget", ["t1", "e"]],
  ]);
});

test("a program that vanished between create and start", async () => {
  core.failures.set("k/start", new CoreError(2, 0, 'exec: "/gone": stat /gone: no such file or directory'));
  await expect(runtime().start("k", container("v2"))).rejects.toThrow(
    'OCI runtime start failed: unable to start container process: exec: "/gone": stat /gone: no such file or directory',
  );
});
