import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ConnectRequest,
  CreateTaskRequest,
  DeleteRequest,
  DeleteResponse,
  ExecProcessRequest,
  KillRequest,
  StartRequest,
  StateRequest,
  WaitRequest,
} from "../../src/gen/containerd/task/v3/shim.js";
import { bed, prepareBed } from "../support/bed.js";
import { type Bundle, DirectShim } from "../support/direct-shim.js";
import { type Answer, TtrpcClient } from "../support/ttrpc-client.js";

const code = {
  ok: 0,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  resourceExhausted: 8,
  unimplemented: 12,
  unavailable: 14,
};
const create = (bundle: Bundle, more: Parameters<typeof CreateTaskRequest.fromPartial>[0] = {}) =>
  CreateTaskRequest.encode(CreateTaskRequest.fromPartial({ id: bundle.id, bundle: bundle.dir, ...more })).finish();

let shim: DirectShim;
beforeEach(() => {
  prepareBed();
  shim = new DirectShim();
});
afterEach(async () => {
  await shim.end();
});

async function created(bundle: Bundle, more?: Parameters<typeof CreateTaskRequest.fromPartial>[0]): Promise<Answer> {
  const started = shim.start(bundle);
  expect(started).toMatchObject({ code: 0, stderr: "" });
  using client = await TtrpcClient.connect(started.socket);
  const answer = await client.call("Create", create(bundle, more));
  // Whatever was refused: the shim still serves.
  expect(await client.call("Connect", ConnectRequest.encode({ id: bundle.id }).finish())).toMatchObject({
    code: code.ok,
  });
  return answer;
}

describe("the launcher", () => {
  test.each([
    [["-nonsense", "start"], /unknown flag -nonsense/],
    [["-namespace", "n", "-id", "a/b", "start"], /-id "a\/b" is not an identifier/],
    [["-namespace", "n", "-id", "..", "start"], /-id ".." is not an identifier/],
    [["-namespace", "", "-id", "a", "start"], /-namespace "" is not an identifier/],
    [["stop"], /unknown action stop/],
  ])("refuses %j", (args, message) => {
    expect(shim.launch(args)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
  });

  test("delete of an id that was never started answers 137", () => {
    const { code: status, stdout } = shim.delete({ id: "nobody", dir: "/nonexistent" });
    expect(status).toBe(0);
    expect(DeleteResponse.decode(stdout)).toMatchObject({ pid: 0, exitStatus: 137 });
  });

  test("delete of a shim whose core has hardly begun ends it", () => {
    const libdir = join(shim.dir, "lib");
    mkdirSync(libdir);
    const real = join(bed.built, "../lib/vigil");
    for (const name of readdirSync(real)) symlinkSync(join(real, name), join(libdir, name));
    rmSync(join(libdir, "vigil-core"));
    const slow = `#!/bin/sh\nsleep 0.3\nexec "${real}/vigil-core" "$@"\n`;
    writeFileSync(join(libdir, "vigil-core"), slow, { mode: 0o755 });
    const bundle = shim.bundle("c1", { args: ["true"] });
    expect(shim.start(bundle, { VIGIL_LIBDIR: libdir }).code).toBe(0);
    expect(existsSync(join(shim.run, "cores", shim.namespace, "c1", "core"))).toBe(false);
    expect(shim.delete(bundle).code).toBe(0);
  });
});

describe("Create refuses, and nothing is left", () => {
  test.each<[string, (config: Record<string, unknown>) => void, RegExp]>([
    [
      "args that are no strings",
      (config) => Object.assign(config.process as object, { args: [1] }),
      /process\.args\[0\]/,
    ],
    ["no process", (config) => Object.assign(config, { process: undefined }), /process/],
    [
      "a cgroup path that leaves the hierarchy",
      (config) => Object.assign(config.linux as object, { cgroupsPath: "/../../etc" }),
      /cgroupsPath/,
    ],
    [
      "a memory limit that is no number",
      (config) => Object.assign(config.linux as object, { resources: { memory: { limit: "1m" } } }),
      /linux\.resources\.memory\.limit/,
    ],
    ["a relative cwd", (config) => Object.assign(config.process as object, { cwd: "tmp" }), /process\.cwd/],
    ["a root that is missing", (config) => Object.assign(config, { root: { path: "nosuch" } }), /nosuch/],
  ])("%s", async (_, change, message) => {
    const answer = await created(shim.bundle("c1", { args: ["true"], change }));
    expect(answer).toMatchObject({ code: code.invalidArgument, message: expect.stringMatching(message) });
  });

  test("a bundle without config.json", async () => {
    const bundle = shim.bundle("c1", { args: ["true"] });
    rmSync(join(bundle.dir, "config.json"));
    expect(await created(bundle)).toMatchObject({ message: expect.stringMatching(/config\.json/) });
  });

  test("a config.json that is no JSON", async () => {
    const bundle = shim.bundle("c1", { args: ["true"] });
    writeFileSync(join(bundle.dir, "config.json"), "{ no json");
    expect(await created(bundle)).toMatchObject({
      code: code.invalidArgument,
      message: expect.stringMatching(/config\.json/),
    });
  });

  test("a rootfs that is a symlink out of the bundle", async () => {
    const bundle = shim.bundle("c1", { args: ["true"] });
    rmSync(join(bundle.dir, "rootfs"), { recursive: true });
    symlinkSync("/", join(bundle.dir, "rootfs"));
    expect(await created(bundle)).toMatchObject({
      code: code.invalidArgument,
      message: expect.stringMatching(/rootfs/),
    });
  });

  test("a FIFO that does not exist", async () => {
    const answer = await created(shim.bundle("c1", { args: ["true"] }), { stdout: "/nonexistent/stdout" });
    expect(answer.code).not.toBe(code.ok);
    expect(answer.message).toMatch(/\/nonexistent\/stdout/);
  });

  test("an unknown stream scheme", async () => {
    const answer = await created(shim.bundle("c1", { args: ["true"] }), { stdout: "carrier-pigeon:///x" });
    expect(answer.message).toMatch(/unknown STDIO scheme/);
  });

  test("options of an unknown type", async () => {
    const options = { typeUrl: "example.Options", value: Buffer.alloc(0) };
    const answer = await created(shim.bundle("c1", { args: ["true"] }), { options });
    expect(answer).toMatchObject({ code: code.invalidArgument, message: expect.stringMatching(/example\.Options/) });
  });

  test("a checkpoint to restore", async () => {
    const answer = await created(shim.bundle("c1", { args: ["true"] }), { checkpoint: "/some/image" });
    expect(answer.code).toBe(code.invalidArgument);
  });

  test("ids that are paths", async () => {
    const bundle = shim.bundle("c1", { args: ["true"] });
    const started = shim.start(bundle);
    using client = await TtrpcClient.connect(started.socket);
    for (const id of ["../c1", "a/b", "", "."]) {
      expect(await client.call("Create", create({ ...bundle, id }))).toMatchObject({ code: code.invalidArgument });
    }
  });

  test("a bundle that vanishes after start", async () => {
    const bundle = shim.bundle("c1", { args: ["true"] });
    const { socket } = shim.start(bundle);
    renameSync(bundle.dir, `${bundle.dir}.gone`);
    using client = await TtrpcClient.connect(socket);
    const answer = await client.call("Create", create(bundle));
    expect(answer.code).not.toBe(code.ok);
    expect(answer.message).toContain(bundle.dir);
  });
});

describe("the socket", () => {
  test("answers malformed ttrpc and goes on serving", async () => {
    const bundle = shim.bundle("c1", { args: ["true"] });
    const { socket } = shim.start(bundle);
    using client = await TtrpcClient.connect(socket);
    expect((await client.send(1, Buffer.from([0xff, 0xff, 0xff]))).code).not.toBe(code.ok);
    expect(await client.send(2, Buffer.alloc(0))).toMatchObject({ code: code.invalidArgument });
    expect(await client.send(1, Buffer.alloc(0))).toMatchObject({ code: code.invalidArgument });
    expect(await client.send(5, Buffer.alloc((4 << 20) + 1))).toMatchObject({ code: code.resourceExhausted });
    using second = await TtrpcClient.connect(socket);
    const nobody = DeleteRequest.encode({ id: "c1", execId: "" }).finish();
    expect(await second.call("Delete", nobody)).toMatchObject({
      code: code.notFound,
      message: "container not created: not found",
    });
    expect(await second.call("Delete", nobody, { service: "example.Service" })).toMatchObject({
      code: code.unimplemented,
    });
    expect(await second.call("Nothing", nobody)).toMatchObject({ code: code.unimplemented });
    expect((await second.call("Delete", Buffer.from([0x0a, 0xff]))).code).not.toBe(code.ok);
  });

  test("survives HTTP/2 garbage and a truncated preface", async () => {
    const bundle = shim.bundle("c1", { args: ["true"] });
    const { socket } = shim.start(bundle);
    for (const text of [
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\xff\xff\xff\xff\xff\xff",
      "PRI * HT",
      "POST / HTTP/1.1\r\n\r\n",
    ]) {
      using garbage = await TtrpcClient.connect(socket);
      garbage.raw(Buffer.from(text, "latin1"));
    }
    using client = await TtrpcClient.connect(socket);
    expect(await client.call("Connect", ConnectRequest.encode({ id: "c1" }).finish())).toMatchObject({ code: code.ok });
  });
});

test("a full disk under the state directory: a typed error, and the shim serves again when there is room", async () => {
  mkdirSync(shim.state, { recursive: true });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", shim.state]);
  try {
    const bundle = shim.bundle("c1", { args: ["sleep", "100"] });
    const { socket } = shim.start(bundle);
    using client = await TtrpcClient.connect(socket);
    const call = (method: string, request: { finish(): Uint8Array }) => client.call(method, request.finish());
    expect(await client.call("Create", create(bundle))).toMatchObject({ code: code.ok });
    expect(await call("Start", StartRequest.encode({ id: "c1", execId: "" }))).toMatchObject({ code: code.ok });
    const process = { args: ["true", "x".repeat(2000)], cwd: "/", env: [], user: { uid: 0, gid: 0 } };
    const spec = {
      typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
      value: Buffer.from(JSON.stringify(process)),
    };
    execFileSync("sh", ["-c", `dd if=/dev/zero of=${shim.state}/ballast bs=4k 2>/dev/null || true`]);
    const exec = (execId: string) =>
      client.call(
        "Exec",
        ExecProcessRequest.encode(ExecProcessRequest.fromPartial({ id: "c1", execId, spec })).finish(),
      );
    // Each exec is a change of state and an event, which nobody takes here: the journal fills up.
    let added = 0;
    let refused: Answer | undefined;
    for (; added < 4000 && refused === undefined; added++) {
      const answer = await exec(`e${added}`);
      if (answer.code !== code.ok) refused = answer;
    }
    expect(refused).toMatchObject({ code: code.resourceExhausted, message: expect.stringMatching(/space/i) });
    expect(await call("State", StateRequest.encode({ id: "c1", execId: "" }))).toMatchObject({ code: code.ok });
    rmSync(join(shim.state, "ballast"));
    expect(await exec("after")).toMatchObject({ code: code.ok });
    expect(await call("Kill", KillRequest.encode({ id: "c1", execId: "", signal: 9, all: false }))).toMatchObject({
      code: code.ok,
    });
    expect(await call("Wait", WaitRequest.encode({ id: "c1", execId: "" }))).toMatchObject({ code: code.ok });
    expect(await call("Delete", DeleteRequest.encode({ id: "c1", execId: "" }))).toMatchObject({ code: code.ok });
  } finally {
    shim.deleteAll();
    execFileSync("umount", ["-l", shim.state]);
  }
});

describe("a daemon that cannot start", () => {
  test.each([
    ["no node", { VIGIL_NODE: "/nonexistent/node" }, /node/],
    ["a node that fails", { VIGIL_NODE: "/bin/false" }, /daemon/],
  ])("%s: UNAVAILABLE with the reason; delete cleans up in C", async (_, env, reason) => {
    using broken = new DirectShim(env);
    const bundle = broken.bundle("c1", { args: ["true"] });
    const started = broken.start(bundle);
    expect(started).toMatchObject({ code: 0, stderr: "" });
    using client = await TtrpcClient.connect(started.socket);
    expect(await client.call("Create", create(bundle))).toMatchObject({
      code: code.unavailable,
      message: expect.stringMatching(reason),
    });
    const { code: status, stdout } = broken.delete(bundle);
    expect(status).toBe(0);
    expect(DeleteResponse.decode(stdout)).toMatchObject({ exitStatus: 137 });
    await expect.poll(() => broken.leftovers(), { timeout: 20_000 }).toEqual([]);
  });
});
