// Running out of memory. The stock shims of 1.7 and 2.1 give no order between oom and exit, vigil does.
import { exec, killAndDelete, run, type Scenario, sh, task } from "../scenario.js";

const limit = ["--memory-limit", "20000000"];

export const oom: readonly Scenario[] = [
  {
    name: "oom: the first process",
    smoke: true,
    events: "set",
    steps: [run(["--rm", ...limit], ["/bin/tail", "/dev/zero"], { code: 137 }), { event: "/tasks/oom" }],
  },
  {
    name: "oom: a child",
    smoke: true,
    events: "set",
    steps: [
      sh(["--rm", ...limit], "tail /dev/zero; echo child $?; sleep 0.3; exit 3", {
        code: 3,
        out: /^child 137$/,
        err: /^Killed$|^$/,
      }),
      { event: "/tasks/oom" },
    ],
  },
  {
    name: "oom: an exec",
    events: "set",
    steps: [
      run(["-d", ...limit], ["/bin/sleep", "1000"]),
      exec("e1", [], ["/bin/tail", "/dev/zero"], { code: 137 }),
      { event: "/tasks/oom" },
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      ...killAndDelete,
    ],
  },
  {
    name: "oom: none for a plain kill at a limit",
    steps: [run(["-d", ...limit], ["/bin/sleep", "1000"]), ...killAndDelete],
  },
];
