// create, start, kill, delete and what each refuses.
import { equal, match, notEqual, ok } from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mountsBelow } from "./harness/bed.js";
import { mounts, script } from "./harness/config.js";
import { cgroupsWith } from "./harness/host.js";
import { section } from "./harness/test.js";

export const lifecycleTests = [
  ...section("runtime.md#create", {
    "without a container id it is refused": async (t) => {
      const { bundle } = t.container();
      notEqual((await t.call(["create", "--bundle", bundle])).code, 0);
    },
    "a bundle that does not exist is refused": async (t) => {
      const { code, err } = await t.call(["create", "--bundle", join(t.folder, "nothing"), `${t.group}-x`]);
      notEqual(code, 0);
      notEqual(err, "");
    },
    "a bundle without config.json is refused": async (t) => {
      const { code } = await t.call(["create", "--bundle", t.directory("empty"), `${t.group}-x`]);
      notEqual(code, 0);
    },
    "the current directory is the bundle when none is named": async (t) => {
      const container = t.container();
      await container.mustCreate({ bundle: "", cwd: container.bundle });
      equal((await container.state()).bundle, container.bundle);
    },
    "an id in use is refused and its container is unharmed": async (t) => {
      const container = await t.running();
      const again = await t.call(["create", "--bundle", t.container().bundle, container.id]);
      notEqual(again.code, 0);
      equal((await container.state()).status, "running");
    },
    "an empty id is refused": async (t) => {
      notEqual((await t.call(["create", "--bundle", t.container().bundle, ""])).code, 0);
    },
    "an id that would be a path is refused": async (t) => {
      for (const id of ["a/b", "../escape", "/absolute", ".."]) {
        const { code } = await t.call(["create", "--bundle", t.container().bundle, id]);
        if (code === 0) await t.call(["delete", "--force", id]);
        notEqual(code, 0, `id ${id}`);
      }
    },
    "the container is created and its program does not run": async (t) => {
      const container = await t.created(script("echo ran >/tmp/ran"));
      equal((await container.state()).status, "created");
      ok(!existsSync(container.inRootfs("tmp/ran")));
    },
    "the pid file has the pid of the state, and nothing else": async (t) => {
      const container = await t.created();
      equal(readFileSync(join(container.bundle, "pid"), "utf8"), `${await container.pid()}`);
    },
    "changes of config.json after create have no effect": async (t) => {
      const container = await t.created(script("echo first"));
      const file = join(container.bundle, "config.json");
      writeFileSync(file, readFileSync(file, "utf8").replace("echo first", "echo second"));
      await container.start();
      await container.ended();
      equal(container.out, "first\n");
    },
    "everything but the process is applied": async (t) => {
      const container = await t.created({ linux: { sysctl: { "net.ipv4.ip_forward": "1" } } });
      const pid = await container.pid();
      match(await t.host("nsenter", "--target", `${pid}`, "--uts", "hostname"), /^conformance$/m);
      const forward = await t.host("nsenter", "--target", `${pid}`, "--net", "cat", "/proc/sys/net/ipv4/ip_forward");
      equal(forward.trim(), "1");
    },
    "one that fails late leaves nothing": async (t) => {
      const container = t.container(mounts({ destination: "/tmp", type: "no-such-file-system", source: "none" }));
      notEqual((await container.create()).code, 0);
      equal((await cgroupsWith(container.cgroupsPath)).join(), "");
      equal(mountsBelow(t.folder).length, 0);
    },
    "after one that fails the id can be used": async (t) => {
      const bad = t.container({ root: { path: "nothing" } }, { id: `${t.group}-again` });
      notEqual((await bad.create()).code, 0);
      const good = t.container({}, { id: `${t.group}-again` });
      await good.mustCreate();
      equal((await good.state()).status, "created");
    },
  }),
  ...section("runtime.md#start", {
    "without a container id it is refused": async (t) => {
      notEqual((await t.call(["start"])).code, 0);
    },
    "an unknown container is refused": async (t) => {
      notEqual((await t.call(["start", `${t.group}-unknown`])).code, 0);
    },
    "it runs the program": async (t) => {
      equal(await t.probe("echo ran"), "ran");
    },
    "the state is running afterwards": async (t) => {
      const container = await t.running();
      equal((await container.state()).status, "running");
    },
    "the process keeps its pid": async (t) => {
      const container = await t.created(script("echo ready; exec sleep 1000"));
      const before = await container.pid();
      await container.start();
      equal(await container.pid(), before);
    },
    "a running container is refused and not disturbed": async (t) => {
      const container = await t.running();
      notEqual((await container.call("start")).code, 0);
      equal((await container.state()).status, "running");
    },
    "a stopped container is refused and does not run again": async (t) => {
      const container = await t.created(script("echo x >>/tmp/runs"));
      await container.start();
      await container.stopped();
      notEqual((await container.call("start")).code, 0);
      equal(readFileSync(container.inRootfs("tmp/runs"), "utf8"), "x\n");
    },
    "without process it is refused": async (t) => {
      const container = t.container({ process: undefined });
      if ((await container.create()).code === 0) notEqual((await container.call("start")).code, 0);
    },
  }),
  ...section("runtime.md#kill", {
    "without a container id it is refused": async (t) => {
      notEqual((await t.call(["kill"])).code, 0);
    },
    "an unknown container is refused": async (t) => {
      notEqual((await t.call(["kill", `${t.group}-unknown`, "KILL"])).code, 0);
    },
    "a running container gets the signal": async (t) => {
      const container = await t.running(script("trap 'echo got; exit' USR1; echo ready; while :; do sleep 0.01; done"));
      await container.must("kill", [], ["USR1"]);
      await container.ended();
      match(container.out, /got/);
    },
    "signals by number, and by name with and without SIG": async (t) => {
      const container = await t.running(
        script("trap 'echo one;' USR1; trap 'echo two; exit' USR2; echo ready; while :; do sleep 0.01; done"),
      );
      await container.must("kill", [], ["10"]);
      await container.said("one");
      await container.must("kill", [], ["SIGUSR1"]);
      await container.must("kill", [], ["USR2"]);
      await container.said("two");
    },
    "TERM when no signal is named": async (t) => {
      const container = await t.running(script("trap 'echo got; exit' TERM; echo ready; while :; do sleep 0.01; done"));
      await container.must("kill");
      await container.said("got");
    },
    "an unknown signal is refused and nothing is sent": async (t) => {
      const container = await t.running();
      notEqual((await container.call("kill", [], ["NOSUCH"])).code, 0);
      equal((await container.state()).status, "running");
    },
    "a created container can be killed": async (t) => {
      const container = await t.created();
      await container.must("kill", [], ["KILL"]);
      await container.stopped();
    },
    "a stopped container is refused": async (t) => {
      const container = await t.created();
      await container.start();
      await container.stopped();
      notEqual((await container.call("kill", [], ["KILL"])).code, 0);
      equal((await container.state()).status, "stopped");
    },
    "without a pid namespace of its own --all leaves no process": async (t) => {
      const container = await t.running({
        ...script("sleep 1000 & echo ready; exec sleep 1000"),
        linux: { namespaces: [{ type: "mount" }, { type: "ipc" }, { type: "uts" }] },
      });
      await container.must("kill", ["--all"], ["KILL"]);
      await container.ended();
    },
  }),
  ...section("runtime.md#delete", {
    "without a container id it is refused": async (t) => {
      notEqual((await t.call(["delete"])).code, 0);
    },
    "an unknown container is refused": async (t) => {
      notEqual((await t.call(["delete", `${t.group}-unknown`])).code, 0);
    },
    "with --force an unknown container is no error": async (t) => {
      equal((await t.call(["delete", "--force", `${t.group}-unknown`])).code, 0);
    },
    "a running container is refused and not disturbed": async (t) => {
      const container = await t.running();
      notEqual((await container.call("delete")).code, 0);
      equal((await container.state()).status, "running");
      equal((await container.exec("echo alive")).out, "alive\n");
    },
    "a stopped container is gone afterwards": async (t) => {
      const container = await t.created();
      await container.start();
      await container.stopped();
      await container.must("delete");
      ok(!(await container.exists()));
    },
    "with --force a running container is ended and gone": async (t) => {
      const container = await t.running();
      const pid = await container.pid();
      await container.must("delete", ["--force"]);
      ok(!(await container.exists()));
      await container.ended();
      ok(!existsSync(`/proc/${pid}/root/etc`));
    },
    "its cgroups are gone": async (t) => {
      const container = await t.running();
      notEqual((await cgroupsWith(container.cgroupsPath)).length, 0);
      await container.must("delete", ["--force"]);
      equal((await cgroupsWith(container.cgroupsPath)).join(), "");
    },
    "its mounts are gone from the host": async (t) => {
      const container = await t.running();
      await container.must("delete", ["--force"]);
      equal(mountsBelow(container.bundle).length, 0);
    },
    "what the container did not create stays": async (t) => {
      const kept = t.file("kept", "kept\n");
      const container = await t.running(
        mounts({ destination: "/etc/kept", type: "none", source: kept, options: ["bind"] }),
      );
      await container.must("delete", ["--force"]);
      equal(readFileSync(kept, "utf8"), "kept\n");
      ok(existsSync(join(container.bundle, "config.json")));
      ok(existsSync(container.inRootfs("bin/busybox")));
    },
    "all processes are gone without a pid namespace of its own": async (t) => {
      const container = await t.running({
        ...script("sleep 1000 & echo ready; exec sleep 1000"),
        linux: { namespaces: [{ type: "mount" }, { type: "ipc" }, { type: "uts" }] },
      });
      await container.must("delete", ["--force"]);
      await container.ended();
    },
    "the id can be used again": async (t) => {
      const container = await t.running();
      await container.must("delete", ["--force"]);
      const again = t.container({}, { id: container.id });
      await again.mustCreate();
      equal((await again.state()).bundle, again.bundle);
    },
  }),
];
