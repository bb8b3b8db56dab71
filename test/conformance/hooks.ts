// Hooks: when, where, in which order, with what on standard input, and what their failure does.
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bed } from "./harness/bed.js";
import { type Edit, script } from "./harness/config.js";
import type { Container, State } from "./harness/container.js";
import { section } from "./harness/test.js";

const kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] as const;
type Kind = (typeof kinds)[number];

interface Hook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  readonly timeout?: number;
}

/** A hook that runs shell text, in the container with the container's shell. It has read the state into a variable. */
function hook(text: string): Hook {
  const args = ["sh", "-c", `state=$(cat); ${text}`];
  return { path: "/bin/sh", args, env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"] };
}

/** The folder that hooks write to: one folder, at the same path on the host and in the container. */
function shared(t: Bed): { folder: string; edit: Edit; read: (name: string) => string } {
  const folder = t.directory("hooks");
  chmodSync(folder, 0o777);
  const mount = { destination: folder, type: "none", source: folder, options: ["rbind"] };
  return {
    folder,
    edit: { mounts: [...(usual as readonly Edit[]), mount] },
    read: (name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8") : ""),
  };
}

const usual = [
  { destination: "/proc", type: "proc", source: "proc" },
  { destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536k"] },
];

/** A container's whole life. */
async function live(container: Container): Promise<void> {
  await container.mustCreate();
  await container.start();
  await container.stopped();
  await container.must("delete");
}

/** In which operation each kind is called, and with which status. */
const calls: Readonly<Record<Kind, { readonly operation: string; readonly status: string }>> = {
  prestart: { operation: "create", status: "creating" },
  createRuntime: { operation: "create", status: "creating" },
  createContainer: { operation: "create", status: "creating" },
  startContainer: { operation: "start", status: "created" },
  poststart: { operation: "start", status: "running" },
  poststop: { operation: "delete", status: "stopped" },
};

function calledIn(kind: Kind) {
  return async (t: Bed) => {
    const { folder, edit } = shared(t);
    const container = t.container({
      ...script("echo ready; exec sleep 1000"),
      ...edit,
      hooks: { [kind]: [hook(`echo x >>${folder}/called`)] },
    });
    const called = () => existsSync(join(folder, "called"));
    const seen: string[] = [];
    const note = (operation: string) => {
      if (called() && seen.length === 0) seen.push(operation);
    };
    await container.mustCreate();
    note("create");
    await container.start();
    // Runtimes may answer start a little before the container's own process has got so far.
    if (kind === "startContainer") await container.said("ready");
    note("start");
    await container.must("kill", [], ["KILL"]);
    await container.stopped();
    note("kill");
    await container.must("delete");
    note("delete");
    deepEqual(seen, [calls[kind].operation]);
    equal(readFileSync(join(folder, "called"), "utf8"), "x\n");
  };
}

function stateOnInput(kind: Kind) {
  return async (t: Bed) => {
    const { folder, edit, read } = shared(t);
    const container = t.container({
      ...script("true"),
      ...edit,
      annotations: { "org.example.key": "value" },
      hooks: { [kind]: [hook(`echo "$state" >${folder}/state`)] },
    });
    await live(container);
    const state = JSON.parse(read("state")) as State;
    equal(state.id, container.id);
    equal(state.bundle, container.bundle);
    equal(state.annotations?.["org.example.key"], "value");
    equal(state.status, calls[kind].status);
    if (kind !== "poststop") ok((state.pid ?? 0) > 0);
  };
}

/** Links of /proc/self/ns in a hook, beside the host's. */
function inNamespace(kind: Kind, whose: "runtime" | "container") {
  return async (t: Bed) => {
    const { folder, edit, read } = shared(t);
    const text = `readlink /proc/self/ns/mnt >${folder}/ns; hostname >${folder}/name`;
    await live(t.container({ ...script("true"), ...edit, hooks: { [kind]: [hook(text)] } }));
    const own = await t.host("readlink", "/proc/self/ns/mnt");
    if (whose === "runtime") equal(read("ns"), own);
    else {
      match(read("ns"), /^mnt:/);
      notEqual(read("ns"), own);
      // The name is set by then for sure only where the program is about to run.
      if (kind === "startContainer") equal(read("name"), "conformance\n");
    }
  };
}

function failing(kind: Kind) {
  return async (t: Bed) => {
    const { folder, edit, read } = shared(t);
    const container = t.container({
      ...script(`echo ran >${folder}/ran`),
      ...edit,
      hooks: {
        [kind]: [hook("exit 3")],
        ...(kind === "poststop" ? {} : { poststop: [hook(`echo x >${folder}/poststop`)] }),
      },
    });
    const created = await container.create();
    const { operation } = calls[kind];
    if (operation === "create") {
      notEqual(created.code, 0);
      ok(!(await container.exists()));
      equal(read("ran"), "");
      equal(read("poststop"), "x\n", "the poststop hooks were not called");
      return;
    }
    equal(created.code, 0, created.err);
    const started = await container.call("start");
    if (operation === "start") {
      notEqual(started.code, 0);
      await container.ended();
      if (kind === "startContainer") equal(read("ran"), "");
      await container.call("delete", ["--force"]);
      ok(!(await container.exists()));
      equal(read("poststop"), "x\n", "the poststop hooks were not called");
    }
  };
}

export const hookTests = [
  ...section(
    "config.md#posix-platform-hooks",
    Object.fromEntries([
      ...kinds.map((kind) => [`${kind}: called once, in ${calls[kind].operation}`, calledIn(kind)] as const),
      ...kinds.map(
        (kind) =>
          [`${kind}: the state is on standard input, with status ${calls[kind].status}`, stateOnInput(kind)] as const,
      ),
      ...(["prestart", "createRuntime", "poststart", "poststop"] as const).map(
        (kind) => [`${kind}: it runs in the runtime's namespaces`, inNamespace(kind, "runtime")] as const,
      ),
      ...(["createContainer", "startContainer"] as const).map(
        (kind) => [`${kind}: it runs in the container's namespaces`, inNamespace(kind, "container")] as const,
      ),
    ]),
  ),
  ...section(
    "runtime.md#lifecycle",
    Object.fromEntries(
      (["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] as const).map((kind) => [
        `when a ${kind} hook fails the container is stopped and the poststop hooks are called`,
        // runc and crun answer start before the container's process has run those of startContainer.
        failing(kind),
      ]),
    ),
  ),
  ...section("config.md#posix-platform-hooks", {
    // runc 1.3 calls poststart in create.
    "of each kind they are called in the listed order, and the kinds in theirs": async (t) => {
      const { folder, edit, read } = shared(t);
      const hooks = Object.fromEntries(
        kinds.map((kind) => [kind, [1, 2].map((number) => hook(`echo ${kind} ${number} >>${folder}/order`))]),
      );
      await live(t.container({ ...script(`echo process >>${folder}/order`), ...edit, hooks }));
      const lines = read("order").trim().split("\n");
      const expected = kinds.flatMap((kind) => [`${kind} 1`, `${kind} 2`]);
      deepEqual(
        lines.filter((line) => line !== "process"),
        expected,
      );
      ok(lines.indexOf("process") > lines.indexOf("startContainer 2"));
      ok(lines.indexOf("process") < lines.indexOf("poststop 1"));
    },
    "args and env are the hook's, and nothing else": async (t) => {
      const { folder, edit, read } = shared(t);
      const file = t.file(
        "hook.sh",
        `#!/bin/sh\necho "$0 $1 $2" >${folder}/args\ntr '\\0' '\\n' </proc/self/environ >${folder}/env\n`,
      );
      chmodSync(file, 0o755);
      const given = { path: file, args: ["zero", "one", "two words"], env: ["ONE=1", "TWO=2"] };
      await live(t.container({ ...script("true"), ...edit, hooks: { createRuntime: [given] } }));
      match(read("args"), / one two words$/m);
      const names = read("env")
        .trim()
        .split("\n")
        .filter((line) => !/^(PWD|SHLVL|OLDPWD|_|PATH)=/.test(line));
      deepEqual(names.sort(), ["ONE=1", "TWO=2"]);
    },
    "the state has the version of the specification": async (t) => {
      const { folder, edit, read } = shared(t);
      const hooks = { createRuntime: [hook(`echo "$state" >${folder}/state`)] };
      await live(t.container({ ...script("true"), ...edit, hooks }));
      match((JSON.parse(read("state")) as State).ociVersion, /^\d+\.\d+\.\d+/);
    },
    "a hook that does not read its standard input": async (t) => {
      equal(await t.probe("echo ran", { hooks: { createRuntime: [{ path: "/bin/true" }] } }), "ran");
    },
    "a relative path is refused": async (t) => {
      await t.refused({ hooks: { createRuntime: [{ path: "bin/true" }] } });
    },
    "a path that does not exist is refused": async (t) => {
      await t.refused({ hooks: { createRuntime: [{ path: "/no/such/hook" }] } });
    },
    "a hook that takes longer than its timeout is ended and the container refused": async (t) => {
      await t.refused({
        hooks: { createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "exec sleep 1000"], timeout: 1 }] },
      });
    },
    "a timeout of zero or less is refused": async (t) => {
      for (const timeout of [0, -1]) await t.refused({ hooks: { createRuntime: [{ path: "/bin/true", timeout }] } });
    },
    "createRuntime: the container's namespaces are there": async (t) => {
      const { folder, edit, read } = shared(t);
      const text = `pid=$(echo "$state" | tr -d ' \\n' | sed -n 's/.*"pid":\\([0-9]*\\).*/\\1/p'); readlink /proc/$pid/ns/net >${folder}/net`;
      await live(t.container({ ...script("true"), ...edit, hooks: { createRuntime: [hook(text)] } }));
      match(read("net"), /^net:\[/);
      notEqual(read("net"), await t.host("readlink", "/proc/self/ns/net"));
    },
    "startContainer: the path is looked up in the container": async (t) => {
      const container = t.container(
        { ...script("cat /tmp/made"), hooks: { startContainer: [{ path: "/etc/hook" }] } },
        {
          prepare: ({ rootfs }) => {
            writeFileSync(join(rootfs, "etc/hook"), "#!/bin/sh\necho made >/tmp/made\n");
            chmodSync(join(rootfs, "etc/hook"), 0o755);
          },
        },
      );
      await container.mustCreate();
      await container.start();
      await container.ended();
      equal(container.out, "made\n");
    },
    "poststop: a failing hook does not keep delete from its work, nor the next hook from being called": async (t) => {
      const { folder, edit, read } = shared(t);
      const hooks = { poststop: [hook("exit 3"), hook(`echo x >${folder}/second`)] };
      const container = t.container({ ...script("true"), ...edit, hooks });
      await container.mustCreate();
      await container.start();
      await container.stopped();
      await container.call("delete");
      ok(!(await container.exists()));
      equal(read("second"), "x\n");
    },
    "poststop: called by delete --force of a running container": async (t) => {
      const { folder, edit, read } = shared(t);
      const container = t.container({
        ...script("sleep 1000"),
        ...edit,
        hooks: { poststop: [hook(`echo x >${folder}/called`)] },
      });
      await container.mustCreate();
      await container.start();
      await container.must("delete", ["--force"]);
      equal(read("called"), "x\n");
    },
    "hooks of a kind that nobody knows are ignored": async (t) => {
      equal(await t.probe("echo ran", { hooks: { noSuchKind: [{ path: "/no/such/hook" }] } }), "ran");
    },
    "empty lists are as none": async (t) => {
      equal(await t.probe("echo ran", { hooks: Object.fromEntries(kinds.map((kind) => [kind, []])) }), "ran");
    },
  }),
];
