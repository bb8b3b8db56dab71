// Hooks, seen from a manager that starts the shim by hand.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareBed } from "../support/bed.js";
import { type Bundle, DirectShim } from "../support/direct-shim.js";
import { childrenOf } from "../support/process-tree.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";

let shim: DirectShim;
let log: string;
beforeEach(() => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
  log = join(shim.dir, "log");
  writeFileSync(log, "");
});
afterEach(async () => {
  await shim.end();
});

const script = (text: string) => ({ path: "/bin/sh", args: ["sh", "-c", text] });
/** Writes its name and the state down. */
const note = (name: string, more = "") => script(`echo "${name} $(cat)" >>${log}; ${more}`);

function hooked(hooks: Record<string, unknown[]>): Bundle {
  return shim.bundle("h1", {
    args: ["/bin/sleep", "100"],
    change: (config) => {
      config.hooks = hooks;
      config.annotations = { why: "a test" };
    },
  });
}

interface Noted {
  readonly name: string;
  readonly state: { status: string; pid?: number; [key: string]: unknown };
}

const noted = (): Noted[] =>
  readFileSync(log, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const space = line.indexOf(" ");
      return { name: line.slice(0, space), state: JSON.parse(line.slice(space)) };
    });

function calls(bundle: Bundle) {
  const { socket, stderr } = shim.start(bundle);
  expect(stderr).toBe("");
  const client = new ReflectingClient(socket);
  const call = (method: string, more: Fields = {}) => client.call(task, method, { id: bundle.id, ...more });
  return {
    call,
    create: () => call("Create", { bundle: bundle.dir }),
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

test("those of the runtime run in their order, with the state at that moment", async () => {
  const bundle = hooked({
    poststop: [note("poststop-0", "exit 3"), note("poststop-1")],
    createRuntime: [note("createRuntime")],
    poststart: [note("poststart")],
    prestart: [note("prestart")],
  });
  using shimCalls = calls(bundle);
  const { pid } = await shimCalls.create();
  // What counts is the configuration of the creation.
  appendFileSync(join(bundle.dir, "config.json"), "no JSON any more");
  await shimCalls.call("Start");
  await shimCalls.call("Kill", { signal: 9 });
  await shimCalls.call("Wait");
  await shimCalls.call("Delete");
  await shimCalls.call("Shutdown");
  const rest = { ociVersion: "1.1.0", id: "h1", bundle: bundle.dir, annotations: { why: "a test" } };
  expect(noted()).toEqual([
    { name: "prestart", state: { ...rest, status: "creating", pid } },
    { name: "createRuntime", state: { ...rest, status: "creating", pid } },
    { name: "poststart", state: { ...rest, status: "running", pid } },
    { name: "poststop-0", state: { ...rest, status: "stopped" } },
    { name: "poststop-1", state: { ...rest, status: "stopped" } },
  ]);
});

test("one that fails undoes the creation", async () => {
  const bundle = hooked({
    createRuntime: [note("createRuntime", "echo no such luck >&2; exit 9")],
    poststop: [note("poststop")],
  });
  using shimCalls = calls(bundle);
  await expect(shimCalls.create()).rejects.toThrow(
    "OCI runtime create failed: error running createRuntime hook #0: exit status 9, stdout: , stderr: no such luck",
  );
  expect(noted().map(({ name }) => name)).toEqual(["createRuntime", "poststop"]);
  await shimCalls.call("Shutdown");
});

test("a poststart hook that fails ends the container", async () => {
  using shimCalls = calls(hooked({ poststart: [script("exit 1")], poststop: [note("poststop")] }));
  await shimCalls.create();
  await expect(shimCalls.call("Start")).rejects.toThrow("error running poststart hook #0: exit status 1");
  expect(await shimCalls.call("Wait")).toMatchObject({ exitStatus: 137 });
  await shimCalls.call("Delete");
  expect(noted().map(({ name }) => name)).toEqual(["poststop"]);
  await shimCalls.call("Shutdown");
});

test("poststop hooks run also when the core is killed, and a failed one is told", async () => {
  const bundle = hooked({ poststop: [note("first", "echo over >&2; exit 2"), note("second")] });
  using shimCalls = calls(bundle);
  await shimCalls.create();
  await shimCalls.call("Start");
  process.kill(shim.core("h1").pid, "SIGKILL");
  const { code, stderr } = shim.delete(bundle);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: "vigil: error running poststop hook #0: exit status 2, stdout: , stderr: over\n",
  });
  expect(noted().map(({ name, state }) => [name, state.status])).toEqual([
    ["first", "stopped"],
    ["second", "stopped"],
  ]);
  shim.delete(bundle);
  expect(noted()).toHaveLength(2);
});

test("a creation hook runs once, also when the daemon dies meanwhile", async () => {
  const go = join(shim.dir, "go");
  const bundle = hooked({ createRuntime: [note("createRuntime", `until test -e ${go}; do sleep 0.02; done`)] });
  const { socket } = shim.start(bundle);
  const headers = { "vigil-request-id": "create-1" };
  const request = { id: "h1", bundle: bundle.dir };
  using first = new ReflectingClient(socket);
  const lost = first.call(task, "Create", request, headers);
  lost.catch(() => undefined);
  await expect.poll(() => noted().length, { timeout: 20_000 }).toBe(1);
  const daemon = childrenOf(shim.core("h1").pid).find(({ command }) => command.includes("daemon"));
  process.kill(daemon?.pid ?? 0, "SIGKILL");
  await expect(lost).rejects.toThrow();
  writeFileSync(go, "");
  using second = new ReflectingClient(socket);
  const { pid } = await second.call(task, "Create", request, headers);
  expect(noted().map(({ state }) => state.pid)).toEqual([pid]);
  expect(existsSync(`/proc/${pid}`)).toBe(true);
  await second.call(task, "Delete", { id: "h1" });
  await second.call(task, "Shutdown", { id: "h1" });
});
