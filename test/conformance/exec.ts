// Further processes in a container, and what changes a running one: exec, pause, resume, update, events, ps.
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { eventually } from "../support/command.js";
import { script } from "./harness/config.js";
import { cgroupDir, cgroupVersion, needController, statusField } from "./harness/host.js";
import { section } from "./harness/test.js";

function cgroupFile(controller: string, path: string, file: string): string {
  return readFileSync(`${cgroupDir(controller, path)}/${file}`, "utf8").trim();
}

const oneProcess = {
  cwd: "/etc",
  args: ["sh", "-c", "pwd; id -u; id -g; echo $ONE; umask"],
  env: ["PATH=/bin", "ONE=1"],
  user: { uid: 1000, gid: 2000 },
};

// Lets go of the streams that the suite reads to their end.
const detached = ["sh", "-c", "exec sleep 1000 >/dev/null 2>&1"];

export const execTests = [
  ...section("runtime.md#operations", {
    "exec runs a process in the container and returns its status": async (t) => {
      const container = await t.running();
      const { code, out } = await container.exec("echo out; exit 7");
      equal(out, "out\n");
      equal(code, 7);
    },
    "exec: a process that was killed by a signal": async (t) => {
      equal((await (await t.running()).exec("kill -KILL $$")).code, 128 + 9);
    },
    "exec: standard error is apart from standard output": async (t) => {
      const { out, err } = await (await t.running()).exec("echo out; echo err >&2");
      equal(out, "out\n");
      match(err, /^err$/m);
    },
    "exec: standard input is passed on": async (t) => {
      const container = await t.running();
      equal((await container.call("exec", [], ["cat"], { stdin: "typed\n" })).out, "typed\n");
    },
    "exec: a program that does not exist fails and the container stays": async (t) => {
      const container = await t.running();
      const { code } = await container.call("exec", [], ["/no/such/program"]);
      ok(code === 127 || code === 255 || code === 1, `status ${code}`);
      equal((await container.state()).status, "running");
    },
    "exec: the environment is the container's, with --env more": async (t) => {
      const container = await t.running({ process: { env: ["PATH=/bin", "A=container", "B=container"] } });
      equal(
        (await container.exec("echo $A $B $C", ["--env", "B=exec", "--env", "C=exec"])).out,
        "container exec exec\n",
      );
    },
    "exec: cwd and user": async (t) => {
      const container = await t.running();
      equal(
        (await container.exec("pwd; id -u; id -g", ["--cwd", "/etc", "--user", "1000:2000"])).out,
        "/etc\n1000\n2000\n",
      );
    },
    "exec: without --cwd it begins where the container's process did": async (t) => {
      const container = await t.running({ process: { cwd: "/etc" } });
      equal((await container.exec("pwd")).out, "/etc\n");
    },
    "exec: a process file says everything": async (t) => {
      const container = await t.running();
      const { out, code } = await container.call("exec", [
        "--process",
        t.file("process.json", JSON.stringify(oneProcess)),
      ]);
      equal(code, 0);
      equal(out, "/etc\n1000\n2000\n1\n0022\n");
    },
    "exec: a process file that is no JSON is refused": async (t) => {
      const container = await t.running();
      notEqual((await container.call("exec", ["--process", t.file("process.json", "{")])).code, 0);
    },
    "exec: a process file without args is refused": async (t) => {
      const container = await t.running();
      const text = JSON.stringify({ ...oneProcess, args: undefined });
      notEqual((await container.call("exec", ["--process", t.file("process.json", text)])).code, 0);
    },
    "exec: capabilities and limits of the process file": async (t) => {
      const container = await t.running();
      const given = {
        ...oneProcess,
        user: { uid: 0, gid: 0 },
        args: ["cat", "/proc/self/status", "/proc/self/limits"],
        capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
        rlimits: [{ type: "RLIMIT_NOFILE", soft: 55, hard: 66 }],
        noNewPrivileges: true,
      };
      const { out } = await container.call("exec", ["--process", t.file("process.json", JSON.stringify(given))]);
      equal(statusField(out, "CapEff"), "0000000000000020");
      equal(statusField(out, "NoNewPrivs"), "1");
      match(out, /open files +55 +66 /);
    },
    "exec --detach returns at once, --pid-file has the process": async (t) => {
      const container = await t.running();
      const pidFile = `${t.folder}/exec-pid`;
      const { code } = await container.call("exec", ["--detach", "--pid-file", pidFile], detached);
      equal(code, 0);
      const pid = readFileSync(pidFile, "utf8");
      match(await t.host("cat", `/proc/${pid}/cmdline`), /sleep/);
      equal(
        await t.host("readlink", `/proc/${pid}/ns/pid`),
        await t.host("readlink", `/proc/${await container.pid()}/ns/pid`),
      );
    },
    "exec: the process is in the container's cgroup": async (t) => {
      const container = await t.running();
      const here = (await container.exec("cat /proc/self/cgroup")).out;
      equal(here, await t.host("cat", `/proc/${await container.pid()}/cgroup`));
    },
    "exec in a stopped container is refused": async (t) => {
      const container = await t.created();
      await container.start();
      await container.stopped();
      notEqual((await container.exec("true")).code, 0);
    },
    "exec in an unknown container is refused": async (t) => {
      notEqual((await t.call(["exec", `${t.group}-unknown`, "true"])).code, 0);
    },
    "exec without a program is refused": async (t) => {
      notEqual((await (await t.running()).call("exec")).code, 0);
    },
    "exec in a paused container is refused": async (t) => {
      const container = await t.running();
      await container.must("pause");
      const { code } = await container.exec("true");
      await container.must("resume");
      notEqual(code, 0);
    },
    "processes of exec are in ps": async (t) => {
      const container = await t.running();
      const pidFile = `${t.folder}/exec-pid`;
      await container.must("exec", ["--detach", "--pid-file", pidFile], detached);
      const pids = JSON.parse(await container.must("ps", ["--format", "json"])) as number[];
      deepEqual(pids.sort(), [await container.pid(), Number(readFileSync(pidFile, "utf8"))].sort());
    },
    "processes of exec end with the container": async (t) => {
      const container = await t.running();
      const pidFile = `${t.folder}/exec-pid`;
      await container.must("exec", ["--detach", "--pid-file", pidFile], detached);
      await container.must("delete", ["--force"]);
      const pid = readFileSync(pidFile, "utf8");
      const gone = await eventually("the end of exec's process", async () => {
        const status = await t.host("cat", `/proc/${pid}/status`).catch(() => "");
        return status === "" || /^State:\s*[ZX]/m.test(status) ? true : undefined;
      });
      ok(gone);
    },
    "pause stops the processes and resume lets them go on": async (t) => {
      const container = await t.running(script("echo ready; while :; do date +%s%N >/tmp/now; sleep 0.01; done"));
      await container.must("pause");
      equal((await container.state()).status, "paused");
      const file = container.inRootfs("tmp/now");
      const frozen = readFileSync(file, "utf8");
      await container.state();
      equal(readFileSync(file, "utf8"), frozen);
      await container.must("resume");
      equal((await container.state()).status, "running");
      ok(await eventually("a later time", () => (readFileSync(file, "utf8") > frozen ? true : undefined)));
    },
    "pause of a stopped container is refused": async (t) => {
      const container = await t.created();
      await container.start();
      await container.stopped();
      notEqual((await container.call("pause")).code, 0);
    },
    "resume of a running container is refused": async (t) => {
      notEqual((await (await t.running()).call("resume")).code, 0);
    },
    "a paused container cannot be deleted, but with --force": async (t) => {
      const container = await t.running();
      await container.must("pause");
      notEqual((await container.call("delete")).code, 0);
      await container.must("delete", ["--force"]);
      await container.ended();
    },
    "KILL ends a paused container": async (t) => {
      const container = await t.running();
      await container.must("pause");
      await container.must("kill", [], ["KILL"]);
      // A frozen process of version 1 dies when it thaws.
      await container.call("resume");
      await container.stopped();
    },
    "update changes memory, cpu and pids of a running container": async (t) => {
      needController("memory");
      const container = await t.running({ linux: { resources: { memory: { limit: 64 << 20 }, pids: { limit: 50 } } } });
      await container.must("update", [
        "--memory",
        `${32 << 20}`,
        "--pids-limit",
        "20",
        "--cpu-quota",
        "50000",
        "--cpu-period",
        "100000",
      ]);
      const path = container.cgroupsPath;
      equal(cgroupFile("pids", path, "pids.max"), "20");
      if (cgroupVersion === 1) {
        equal(cgroupFile("memory", path, "memory.limit_in_bytes"), `${32 << 20}`);
        equal(cgroupFile("cpu", path, "cpu.cfs_quota_us"), "50000");
      } else {
        equal(cgroupFile("memory", path, "memory.max"), `${32 << 20}`);
        equal(cgroupFile("cpu", path, "cpu.max"), "50000 100000");
      }
    },
    "update: resources from a file": async (t) => {
      needController("pids");
      const container = await t.running();
      const file = t.file("resources.json", JSON.stringify({ pids: { limit: 33 } }));
      await container.must("update", ["--resources", file]);
      equal(cgroupFile("pids", container.cgroupsPath, "pids.max"), "33");
    },
    "update leaves what it does not name": async (t) => {
      needController("memory");
      const container = await t.running({ linux: { resources: { memory: { limit: 64 << 20 } } } });
      await container.must("update", ["--pids-limit", "20"]);
      const file = cgroupVersion === 1 ? "memory.limit_in_bytes" : "memory.max";
      equal(cgroupFile("memory", container.cgroupsPath, file), `${64 << 20}`);
    },
    "update of an unknown container is refused": async (t) => {
      notEqual((await t.call(["update", "--pids-limit", "20", `${t.group}-unknown`])).code, 0);
    },
    "events --stats has the container's numbers": async (t) => {
      const container = await t.running({ linux: { resources: { pids: { limit: 44 } } } });
      const event = JSON.parse(await container.must("events", ["--stats"])) as {
        type: string;
        id: string;
        data: { pids: { current: number; limit: number }; memory: { usage: { usage: number } } };
      };
      equal(event.type, "stats");
      equal(event.id, container.id);
      equal(event.data.pids.current, 1);
      equal(event.data.pids.limit, 44);
      ok(event.data.memory.usage.usage > 0);
    },
    "events of an unknown container is refused": async (t) => {
      notEqual((await t.call(["events", "--stats", `${t.group}-unknown`])).code, 0);
    },
  }),
];
