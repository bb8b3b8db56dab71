// A container in the background: looking at it, executing in it, stopping it, and the errors of doing so wrongly.
import { exec, killAndDelete, run, type Scenario, sh, task } from "../scenario.js";

const sleeper = run(["-d"], ["/bin/sleep", "1000"], { out: /^$/ });
const numbers = /\d+(\.\d+)?/g;

export const controlling: readonly Scenario[] = [
  {
    name: "detached: ls, ps, info, kill, delete",
    smoke: true,
    steps: [
      sleeper,
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      task("ps", ["$ID"], { mask: numbers, out: /^PID INFO\nN -$/ }),
      { ctr: ["container", "ls", "-q"], out: /^<ID>$/ },
      ...killAndDelete,
      task("ls", [], { out: /^TASK PID STATUS$/ }),
    ],
  },
  {
    name: "metrics",
    steps: [sleeper, task("metrics", ["$ID"], { mask: /\d+/g, out: /memory/ }), ...killAndDelete],
  },
  {
    name: "exec: status and output",
    smoke: true,
    steps: [
      sleeper,
      exec("e1", [], ["/bin/sh", "-c", "echo out; echo err >&2; exit 6"], { code: 6, out: /^out$/, err: /^err$/ }),
      exec("e1", [], ["/bin/true"]),
      ...killAndDelete,
    ],
  },
  {
    name: "exec: stdin, user, cwd",
    steps: [
      sleeper,
      exec("e1", [], ["/bin/cat"], { stdin: "to the exec\n", out: /^to the exec$/ }),
      exec("e2", ["--user", "1000:1000"], ["/bin/id"], { out: /uid=1000(\(guest\))? gid=1000/ }),
      exec("e3", ["--cwd", "/tmp"], ["/bin/pwd"], { out: /^\/tmp$/ }),
      ...killAndDelete,
    ],
  },
  {
    name: "exec: terminal",
    steps: [
      sleeper,
      exec(
        "e1",
        ["-t"],
        ["/bin/sh", "-c", "until stty size 2>/dev/null | grep -q '[1-9]'; do sleep 0.1; done; stty size; exit 2"],
        {
          terminal: { rows: 41, columns: 99 },
          code: 2,
          out: /^41 99$/,
        },
      ),
      ...killAndDelete,
    ],
  },
  {
    name: "exec: large output",
    steps: [
      sleeper,
      exec("e1", [], ["/bin/sh", "-c", "seq 1 300000; sleep 2"], { out: /^\d{7} bytes/ }),
      ...killAndDelete,
    ],
  },
  {
    name: "exec: missing program",
    steps: [
      sleeper,
      exec("e1", [], ["/bin/nosuch"], { code: 1, err: /not found|no such file/i, errors: "kind" }),
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      ...killAndDelete,
    ],
  },
  {
    name: "exec: two at once",
    events: "set",
    steps: [
      sleeper,
      exec("e1", [], ["/bin/sh", "-c", "sleep 0.5; echo first; exit 11"], {
        background: "one",
        code: 11,
        out: /^first$/,
      }),
      exec("e2", [], ["/bin/sh", "-c", "sleep 0.5; echo second; exit 12"], {
        background: "two",
        code: 12,
        out: /^second$/,
      }),
      { join: "one" },
      { join: "two" },
      ...killAndDelete,
    ],
  },
  {
    name: "exec: detached, killed by its id",
    steps: [
      sleeper,
      exec("extra", ["-d"], ["/bin/sleep", "1000"]),
      task("ps", ["$ID"], { mask: numbers, out: /extra/ }),
      task("kill", ["--exec-id", "extra", "-s", "SIGKILL", "$ID"]),
      { event: "/tasks/exit extra 137" },
      task("delete", ["--exec-id", "extra", "$ID"], { code: 137 }),
      ...killAndDelete,
    ],
  },
  {
    name: "exec: still running when the container is killed",
    steps: [
      sleeper,
      exec("e1", [], ["/bin/sleep", "1000"], { background: "exec", code: 137 }),
      { event: "/tasks/exec-started e1" },
      task("kill", ["-s", "SIGKILL", "$ID"]),
      { join: "exec" },
      { event: "/tasks/exit init 137" },
      task("delete", ["$ID"], { err: /exit code 137/ }),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "exec: the id is taken",
    steps: [
      sleeper,
      exec("e1", ["-d"], ["/bin/sleep", "1000"]),
      exec("e1", [], ["/bin/true"], { code: 1, err: /already exists/, errors: "kind" }),
      ...killAndDelete,
    ],
  },
  {
    name: "exec: no task",
    steps: [
      { ctr: ["container", "create", "--rootfs", "$ROOTFS", "$ID", "/bin/true"] },
      exec("e1", [], ["/bin/true"], { code: 1, err: /not found/, errors: "kind" }),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "exec: after the end",
    steps: [
      run(["-d"], ["/bin/true"]),
      { event: "/tasks/exit init 0" },
      exec("e1", [], ["/bin/true"], { code: 1, errors: "kind" }),
      task("delete"),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "create and start apart",
    steps: [
      { ctr: ["container", "create", "--rootfs", "$ROOTFS", "$ID", "/bin/sh", "-c", "echo started; exit 8"] },
      task("start", ["$ID"], { code: 8, out: /^started$/ }),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "pause and resume",
    smoke: true,
    steps: [
      sleeper,
      task("pause"),
      task("ls", [], { out: /^<ID> <PID> PAUSED$/m }),
      task("resume"),
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      task("resume", ["$ID"], { code: 1, errors: "kind" }),
      ...killAndDelete,
    ],
  },
  {
    name: "exec while paused",
    steps: [
      sleeper,
      task("pause"),
      exec("e1", [], ["/bin/true"], { code: 1, err: /paused/i, errors: "kind" }),
      task("pause", ["$ID"], { code: 1, errors: "kind" }),
      task("resume"),
      ...killAndDelete,
    ],
  },
  {
    name: "killed while paused",
    steps: [sleeper, task("pause"), ...killAndDelete],
  },
  {
    name: "kill: all processes",
    steps: [
      sh(["-d"], "sleep 1000 & sleep 1000 & wait"),
      task("kill", ["-a", "-s", "SIGKILL", "$ID"]),
      { event: "/tasks/exit init 137" },
      task("delete", ["$ID"], { err: /exit code 137/ }),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "kill: unknown and finished",
    steps: [
      task("kill", ["nosuch"], { code: 1, err: /not found/, errors: "kind" }),
      run(["-d"], ["/bin/true"]),
      { event: "/tasks/exit init 0" },
      task("kill", ["$ID"], { code: 1, err: /not found|already finished/, errors: "kind" }),
      task("delete"),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "delete: refused while running",
    steps: [
      sleeper,
      task("delete", ["$ID"], { code: 1, err: /running|non stopped/, errors: "kind" }),
      { ctr: ["container", "delete", "$ID"], code: 1, errors: "kind" },
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      ...killAndDelete,
    ],
  },
  {
    name: "delete: by force",
    steps: [
      sleeper,
      task("delete", ["--force", "$ID"], { err: /exit code 137/ }),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "start twice",
    steps: [
      sleeper,
      task("start", ["-d", "$ID"], { code: 1, err: /already exists/, errors: "kind" }),
      run(["-d"], ["/bin/true"], { code: 1, err: /already exists/, errors: "kind" }),
      ...killAndDelete,
    ],
  },
  {
    name: "the same id again",
    steps: [run(["--rm"], ["/bin/echo", "first"]), run(["--rm"], ["/bin/echo", "second"], { out: /^second$/ })],
  },
  {
    name: "two containers at once",
    steps: [
      sleeper,
      run(["-d"], ["/bin/sleep", "1000"], { id: "$ID-b" }),
      task("kill", ["-s", "SIGKILL", "$ID-b"]),
      { event: "/tasks/exit init 137", of: "$ID-b" },
      task("delete", ["$ID-b"], { err: /exit code 137/ }),
      { ctr: ["container", "delete", "$ID-b"] },
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      ...killAndDelete,
    ],
  },
];
