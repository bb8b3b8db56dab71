// The state document and the commands that list.
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { script } from "./harness/config.js";
import { section } from "./harness/test.js";

export const stateTests = [
  ...section("runtime.md#query-state", {
    "without a container id it is refused": async (t) => {
      notEqual((await t.call(["state"])).code, 0);
    },
    "an unknown container is refused": async (t) => {
      const { code, err } = await t.call(["state", `${t.group}-unknown`]);
      notEqual(code, 0);
      notEqual(err, "");
    },
  }),
  ...section("runtime.md#state", {
    "ociVersion is a semantic version": async (t) => {
      match((await (await t.created()).state()).ociVersion, /^\d+\.\d+\.\d+([-+].*)?$/);
    },
    "id is the id": async (t) => {
      const container = await t.created();
      equal((await container.state()).id, container.id);
    },
    "bundle is the absolute path, however it was given": async (t) => {
      const container = t.container();
      await container.mustCreate({ bundle: "bundle0", cwd: t.folder });
      equal((await container.state()).bundle, container.bundle);
    },
    "created: status and pid": async (t) => {
      const state = await (await t.created()).state();
      equal(state.status, "created");
      ok((state.pid ?? 0) > 0);
    },
    "running: pid is the process as the runtime sees it": async (t) => {
      const container = await t.running();
      match(await t.host("cat", `/proc/${await container.pid()}/cmdline`), /^sleep/);
    },
    "stopped: once the process has exited": async (t) => {
      const container = await t.created(script("exit 3"));
      await container.start();
      await container.stopped();
    },
    "stopped: once the process was killed": async (t) => {
      const container = await t.running();
      await container.must("kill", [], ["KILL"]);
      await container.stopped();
    },
    "annotations are those of config.json": async (t) => {
      const annotations = { "org.example.key": "value", "org.example.empty": "" };
      const state = await (await t.created({ annotations })).state();
      for (const [key, value] of Object.entries(annotations)) equal(state.annotations?.[key], value);
    },
    "without annotations there are none, or the map is empty": async (t) => {
      const { annotations = {} } = await (await t.created()).state();
      deepEqual(annotations, {});
    },
    "two containers are two states": async (t) => {
      const one = await t.running();
      const two = await t.created();
      equal((await one.state()).status, "running");
      equal((await two.state()).status, "created");
      notEqual(await one.pid(), await two.pid());
    },
  }),
  ...section("runtime.md#scope-of-a-container", {
    "another --root knows nothing of it": async (t) => {
      const container = await t.created();
      const other = t.directory("other");
      const { code } = await t.call(["--root", other, "state", container.id]);
      notEqual(code, 0);
    },
    "list has every container of the root": async (t) => {
      const one = await t.running();
      const two = await t.created();
      const { out } = await t.call(["list", "--format", "json"]);
      const listed = JSON.parse(out) as { id: string; status: string; bundle: string; pid: number }[];
      const found = new Map(listed.map((entry) => [entry.id, entry]));
      equal(found.get(one.id)?.status, "running");
      equal(found.get(one.id)?.pid, await one.pid());
      equal(found.get(two.id)?.status, "created");
      equal(found.get(two.id)?.bundle, two.bundle);
    },
    "list --quiet has the ids alone": async (t) => {
      const one = await t.created();
      equal((await t.call(["list", "--quiet"])).out, `${one.id}\n`);
    },
    "list as a table has a row for each": async (t) => {
      const one = await t.running();
      match((await t.call(["list"])).out, new RegExp(`^${one.id} .*running`, "m"));
    },
    "ps as JSON is the processes' host pids": async (t) => {
      const container = await t.running();
      const pids = JSON.parse(await container.must("ps", ["--format", "json"])) as number[];
      deepEqual(pids, [await container.pid()]);
    },
    "ps as a table shows the command": async (t) => {
      const container = await t.running();
      match(await container.must("ps"), /PID.*\n.*sleep/);
    },
  }),
  ...section("runtime.md#errors", {
    "with --log and --log-format json the reason is in the log": async (t) => {
      const err = await t.refused({ root: { path: "nothing" } });
      const lines = err.split(/\n(?=\{)/).filter((line) => line.startsWith("{"));
      ok(lines.length > 0, err);
      const entry = JSON.parse(lines.at(-1) ?? "") as { level: string; msg: string };
      equal(entry.level, "error");
      notEqual(entry.msg, "");
    },
    "a command that does not exist is refused": async (t) => {
      notEqual((await t.call(["no-such-command"])).code, 0);
    },
    "an option that does not exist is refused": async (t) => {
      notEqual((await t.call(["list", "--no-such-option"])).code, 0);
    },
    "spec writes a configuration that runs": async (t) => {
      const container = t.container();
      await t.host("rm", `${container.bundle}/config.json`);
      const { code, err } = await t.call(["spec", "--bundle", container.bundle]);
      equal(code, 0, err);
      const spec = JSON.parse(await t.host("cat", `${container.bundle}/config.json`)) as {
        process: { args: string[]; terminal?: boolean };
        root: { path: string };
      };
      ok(spec.process.args.length > 0);
      equal(spec.root.path, "rootfs");
      spec.process.args = ["echo", "ran"];
      spec.process.terminal = false;
      t.file("bundle0/config.json", JSON.stringify(spec));
      await container.mustCreate();
      await container.start();
      await container.ended();
      equal(container.out, "ran\n");
    },
  }),
];
