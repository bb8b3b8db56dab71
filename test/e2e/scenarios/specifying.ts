// Parts of the OCI runtime spec that no option of `ctr run` reaches.
import { runSpec, type Scenario, type Spec } from "../scenario.js";

const shell = (script: string) => ["/bin/sh", "-c", script];

const hook = (script: string, env = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]) => ({
  path: "/bin/sh",
  args: ["sh", "-c", script],
  env,
});

/** A runtime says of itself by which version of the specification its states are. */
const version = /"ociVersion":"[^"]*"/g;

const mapped = (spec: Spec) => {
  spec.linux.namespaces.push({ type: "user" });
  const whole = { containerID: 0, hostID: 100000, size: 65536 };
  spec.linux.uidMappings = [whole];
  spec.linux.gidMappings = [whole];
};

export const specifying: readonly Scenario[] = [
  {
    name: "hooks of every kind",
    steps: [
      ...runSpec(
        ["--rm"],
        shell("cat /tmp/hook; rm /tmp/hook; echo the program >&2"),
        (spec, fill) => {
          const log = fill("$BASE/log");
          const note = (name: string) => hook(`echo "${name} $(cat)" >>${log}`);
          spec.annotations = { color: "blue" };
          spec.hooks = {
            prestart: [note("prestart")],
            createRuntime: [note("createRuntime 0"), note("createRuntime 1")],
            createContainer: [hook(`echo "createContainer $(cat) $(test -d proc && pwd)" >>${log}`)],
            startContainer: [hook('echo "startContainer $(cat) $(pwd) $FROM" >/tmp/hook', ["PATH=/bin", "FROM=env"])],
            poststart: [hook(`cat >/dev/null; echo poststart >>${log}`)],
            poststop: [note("poststop 0"), note("poststop 1")],
          };
        },
        { out: /^startContainer .*"status":"created".* env$/, err: /^the program$/, mask: version },
      ),
      {
        host: ["cat", "$BASE/log"],
        out: /^prestart .*"color":"blue".*\ncreateRuntime 0 .*"creating"(.*\n)*createContainer (.*\n)*poststop 1 .*"stopped"/,
        mask: version,
      },
    ],
  },
  {
    name: "a hook that fails while the container is made",
    steps: ["prestart", "createRuntime", "createContainer"].flatMap((name) =>
      runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.hooks = { [name]: [hook("exit 0"), hook("echo the reason >&2; exit 7")] };
        },
        { code: 1, err: /error running .*hook #1: .*exit status 7, stdout: , stderr: the reason/, errors: "kind" },
      ),
    ),
  },
  {
    name: "a hook that is not there, and one that takes too long",
    steps: [
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.hooks = { createRuntime: [{ path: "/nosuch/hook" }] };
        },
        { code: 1, err: /fork\/exec \/nosuch\/hook: no such file or directory/, errors: "kind" },
      ),
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.hooks = { createRuntime: [{ ...hook("exec sleep 1000"), timeout: 1 }] };
        },
        { code: 1, err: /error running .*hook #0: .*hook ran past specified timeout of 1\.0s/, errors: "kind" },
      ),
    ],
  },
  {
    name: "a hook of the start that fails",
    allowed: [{ field: /events/, reason: "what has not been started is not told to have been" }],
    steps: [
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.hooks = { startContainer: [hook("exit 7")] };
        },
        { code: 1, err: /error running .*hook #0: .*exit status 7/, errors: "kind" },
      ),
    ],
  },
  {
    name: "a user namespace is refused, not ignored",
    allowed: [{ field: /./, reason: "this version of vigil has no user namespaces and says so" }],
    steps: [...runSpec(["--rm"], ["/bin/true"], mapped, { vigil: { code: 1, err: /uidMappings.*not implemented/ } })],
  },
  {
    name: "rlimits, oom score, sysctl",
    steps: [
      ...runSpec(
        ["--rm"],
        shell(
          "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start",
        ),
        (spec) => {
          spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 77, hard: 99 }];
          spec.process.oomScoreAdj = 500;
          spec.linux.sysctl = { "kernel.msgmax": "16384", "net.ipv4.ip_unprivileged_port_start": "80" };
        },
        { out: /^77\n99\n500\n16384\n80$/ },
      ),
    ],
  },
  {
    name: "further groups and umask",
    steps: [
      ...runSpec(
        ["--rm"],
        shell("id -G; umask"),
        (spec) => {
          spec.process.user = { uid: 1000, gid: 1000, additionalGids: [5, 2000], umask: 0o27 };
        },
        { out: /^1000 5 2000\n0027$/ },
      ),
    ],
  },
  {
    name: "limit of processes",
    steps: [
      ...runSpec(
        ["--rm"],
        shell("for i in 1 2 3 4 5 6; do sleep 1 & done; wait"),
        (spec) => {
          spec.linux.resources = { ...spec.linux.resources, pids: { limit: 4 } };
        },
        { code: 2, err: /fork/ },
      ),
    ],
  },
  {
    name: "mounts: tmpfs, flags, order, a file",
    allowed: [
      { field: /step 2 stdout/, reason: "a tmpfs keeps its directory's mode by mode=, as runc 1.2 and later have it" },
    ],
    steps: [
      { host: ["sh", "-c", "echo content > $BASE/file"] },
      ...runSpec(
        ["--rm"],
        shell("grep ' /tmp' /proc/mounts; stat -c %a /var; touch /var/x; cat /tmp/in/file; touch /tmp/in/file"),
        (spec, fill) => {
          spec.mounts.push(
            {
              destination: "/tmp",
              type: "tmpfs",
              source: "scratch",
              options: ["nosuid", "nodev", "noexec", "size=64k", "mode=1700"],
            },
            { destination: "/tmp/in/file", type: "bind", source: fill("$BASE/file"), options: ["bind", "ro"] },
            { destination: "/var", type: "tmpfs", source: "second", options: ["ro"] },
          );
        },
        { code: 1, out: /^content$/m, err: /Read-only/ },
      ),
    ],
  },
  {
    name: "devices, masked and read-only paths",
    steps: [
      ...runSpec(
        ["--rm"],
        shell(
          "stat -c '%n %F %t:%T %a %u' /dev/extra; cat /etc/group; echo x > /proc/sys/kernel/domainname; head -c 1 /dev/extra | wc -c",
        ),
        (spec) => {
          spec.linux.devices = [{ path: "/dev/extra", type: "c", major: 1, minor: 5, fileMode: 0o600, uid: 3 }];
          spec.linux.resources = { ...spec.linux.resources, devices: [{ allow: true, access: "rwm" }] };
          spec.linux.maskedPaths = ["/etc/group", "/nosuch"];
          spec.linux.readonlyPaths = ["/proc/sys", "/nosuch/either"];
        },
        { out: /^\/dev\/extra character special file 1:5 600 3\n1$/, err: /Read-only/ },
      ),
    ],
  },
  {
    name: "a root that does not exist",
    allowed: [{ field: /stderr/, reason: "InvalidArgument names what is wrong; the stock shim says Unknown" }],
    steps: [
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.root.path = "/nosuch/root";
        },
        { code: 1, errors: "kind" },
      ),
    ],
  },
  {
    name: "a mount whose source does not exist",
    steps: [
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.mounts.push({ destination: "/tmp/x", type: "bind", source: "/nosuch/source", options: ["bind"] });
        },
        { code: 1, err: /no such file/i, errors: "kind" },
      ),
    ],
  },
  {
    name: "a namespace that does not exist",
    steps: [
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.linux.namespaces = spec.linux.namespaces.map((entry) =>
            entry.type === "network" ? { ...entry, path: "/nosuch/net" } : entry,
          );
        },
        { code: 1, errors: "kind" },
      ),
    ],
  },
];
