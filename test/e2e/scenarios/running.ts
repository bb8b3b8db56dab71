// A container in the foreground: status, output, input, terminal.
import { exec, killAndDelete, run, runSpec, type Scenario, type Spec, sh, task } from "../scenario.js";

const hostPids = (spec: Spec) => {
  spec.linux.namespaces = spec.linux.namespaces.filter((entry) => entry.type !== "pid");
};

const tenMegabytes = /^\d{8} bytes, sha256 [0-9a-f]{64}$/;

export const running: readonly Scenario[] = [
  { name: "hello", smoke: true, steps: [run(["--rm"], ["/bin/echo", "hello"], { out: /^hello$/ })] },
  ...[0, 1, 7, 255].map((code) => ({
    name: `exit status ${code}`,
    smoke: code === 7,
    steps: [sh(["--rm"], `exit ${code}`, { code })],
  })),
  {
    name: "killed by SIGKILL",
    smoke: true,
    steps: [
      run(["--rm"], ["/bin/sleep", "1000"], { background: "run", code: 137 }),
      { event: "/tasks/start" },
      task("kill", ["-s", "SIGKILL", "$ID"]),
      { join: "run" },
    ],
  },
  {
    // The first process of a pid namespace ignores SIGTERM, so it gets the machine's.
    name: "killed by SIGTERM",
    steps: [
      ...runSpec(["--rm"], ["/bin/sleep", "1000"], hostPids, { background: "run", code: 143 }),
      { event: "/tasks/start" },
      task("kill", ["-s", "SIGTERM", "$ID"]),
      { join: "run" },
    ],
  },
  {
    name: "stdout and stderr apart",
    smoke: true,
    steps: [sh(["--rm"], "echo out; echo err >&2; exit 3", { code: 3, out: /^out$/, err: /^err$/ })],
  },
  {
    name: "stdin through a pipe",
    smoke: true,
    steps: [run(["--rm"], ["/bin/cat"], { stdin: "one\ntwo\nthree", out: /^one\ntwo\nthree$/ })],
  },
  {
    name: "stdin of 4 MB",
    steps: [run(["--rm"], ["/bin/md5sum"], { stdin: () => Buffer.alloc(4 << 20, "vigil\n"), out: /^[0-9a-f]{32} -$/ })],
  },
  {
    name: "terminal of the caller's size",
    steps: [
      sh(["--rm", "-t"], "until stty size 2>/dev/null | grep -q '[1-9]'; do sleep 0.1; done; stty size; tty; exit 5", {
        terminal: { rows: 33, columns: 77 },
        code: 5,
        out: /^33 77\n\/dev\/(pts\/0|console)$/,
      }),
    ],
  },
  {
    name: "typing into a terminal",
    steps: [
      sh(["--rm", "-t"], 'read line; echo "got $line"; exit 4', {
        terminal: { rows: 24, columns: 80 },
        stdin: "a word\n",
        code: 4,
        out: /got a word$/,
      }),
    ],
  },
  {
    name: "large output",
    // ctr closes its end of the FIFO when it hears of the exit, whatever is still in it.
    steps: [sh(["--rm"], "seq 1 1500000; sleep 2", { out: tenMegabytes })],
  },
  {
    name: "large output through a terminal",
    allowed: [{ field: /step 1 stdout/, reason: "the stock shim may lose the end of a terminal's output" }],
    steps: [sh(["--rm", "-t"], "seq 1 300000; sleep 2", { terminal: { rows: 24, columns: 80 }, out: /^2\d{6} bytes/ })],
  },
  {
    name: "both outputs at once, large",
    steps: [
      sh(["--rm"], "seq 1 200000 & seq 1 200000 >&2; wait; sleep 2", { out: /^\d{7} bytes/, err: /^\d{7} bytes/ }),
    ],
  },
  {
    name: "no output at all (--null-io)",
    steps: [sh(["--rm", "--null-io"], "echo lost; exit 4", { code: 4, out: /^$/ })],
  },
  {
    name: "output to a file (--log-uri file://)",
    steps: [
      // The stock shim closes the file for both streams once standard output ends, so that what comes last must come there.
      sh(["--rm", "--log-uri", "file://$BASE/log"], "echo err >&2; sleep 0.3; echo out", { out: /^$/ }),
      { host: ["sort", "$BASE/log"], out: /^err\nout$/ },
      { host: ["stat", "-c", "%a", "$BASE/log"] },
    ],
  },
  {
    name: "output to a program (--log-uri binary://)",
    steps: [
      sh(["--rm", "--log-uri", "binary://$FIXTURES/log-program.sh?dir=$BASE"], "echo out; echo err >&2", { out: /^$/ }),
      { host: ["cat", "$BASE/log-stdout", "$BASE/log-stderr"], until: /out\nerr/ },
      {
        host: ["cat", "$BASE/log-arguments", "$BASE/log-environment"],
        out: /^dir <ID> <NS>\nCONTAINER_ID\nCONTAINER_NAMESPACE$/,
      },
    ],
  },
  {
    name: "the caller's signals arrive",
    steps: [
      sh(
        ["--rm", "--mount", "type=bind,src=$BASE,dst=/tmp,options=rbind:rw"],
        'trap "echo terminated; exit 9" TERM; touch /tmp/ready; while :; do sleep 0.05; done',
        { background: "run", code: 9, out: /^terminated$/ },
      ),
      { host: ["ls", "$BASE"], until: /ready/ },
      // ctr listens to signals only a moment after the container runs, and shows it nowhere.
      { host: ["sleep", "1"] },
      { signal: "SIGTERM", to: "run" },
      { join: "run" },
    ],
  },
  {
    name: "attach",
    steps: [
      sh(
        ["-d", "--mount", "type=bind,src=$BASE,dst=/tmp,options=rbind:rw"],
        "while [ ! -e /tmp/go ]; do sleep 0.05; done; echo after; exit 6",
      ),
      task("attach", ["$ID"], { background: "attach", code: 6, out: /^after$/ }),
      { host: ["sleep", "1"] },
      { host: ["touch", "$BASE/go"] },
      { join: "attach" },
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "a task that ends at once has a pid",
    steps: [
      run(["-d"], ["/bin/true"]),
      { event: "/tasks/exit init 0" },
      task("ls", [], { out: /^<ID> <PID> STOPPED$/m }),
      task("delete"),
      { ctr: ["container", "delete", "$ID"] },
    ],
  },
  {
    name: "children die with the first process",
    steps: [
      sh(["-d"], "sleep 1000 & sleep 1000 & sleep 1000"),
      exec("e1", [], ["/bin/sh", "-c", "pidof sleep | wc -w"], { out: /^3$/ }),
      ...killAndDelete,
    ],
  },
  {
    name: "children in the machine's pid namespace die with the first process",
    steps: [
      ...runSpec(["-d"], ["/bin/sh", "-c", "sleep 77321 & exec sleep 77321"], hostPids),
      { event: "/tasks/start" },
      ...killAndDelete,
      { host: ["sh", "-c", "ps -eo args | grep -c '^sleep 7732[1]' || true"], until: /^0$/m },
    ],
  },
];
