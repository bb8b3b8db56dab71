// containerd dies and comes back while containers run.
import { exec, killAndDelete, run, type Scenario, sh, task } from "../scenario.js";

export const restarting: readonly Scenario[] = [
  {
    name: "restart: found again, still controllable",
    smoke: true,
    steps: [
      run(["-d"], ["/bin/sleep", "1000"]),
      { event: "/tasks/start" },
      { restart: "SIGKILL" },
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      exec("e1", [], ["/bin/sh", "-c", "exit 5"], { code: 5 }),
      ...killAndDelete,
    ],
  },
  {
    name: "restart: exit while nobody listens",
    allowed: [{ field: /^events/, reason: "the stock shim may lose the exit that containerd was not there for" }],
    steps: [
      sh(
        ["-d", "--pid-file", "$BASE/pid", "--mount", "type=bind,src=$BASE,dst=/tmp,options=rbind:rw"],
        "while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 9",
      ),
      { event: "/tasks/start" },
      {
        restart: "SIGKILL",
        meanwhile: { host: ["sh", "-c", "touch $BASE/go; tail --pid=$(cat $BASE/pid) -f /dev/null"] },
      },
      // containerd takes a shim without processes for a leaked one and removes it. The exit is published as soon as containerd
      // serves, so whether a subscriber is there already is a matter of luck, for either shim.
      task("ls", [], { out: /^TASK PID STATUS$/ }),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "restart: orderly stop of containerd leaves the container alone",
    steps: [
      run(["-d"], ["/bin/sleep", "1000"]),
      { event: "/tasks/start" },
      { restart: "SIGTERM" },
      task("ls", [], { out: /^<ID> <PID> RUNNING$/m }),
      ...killAndDelete,
    ],
  },
];
