// Parts of the OCI runtime spec that no option of `ctr run` reaches.
import { exec, killAndDelete, runSpec, type Scenario, type Spec } from "../scenario.js";

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
    name: "user namespace: ids, files, mounts, devices",
    steps: [
      ...runSpec(
        ["--rm"],
        shell(
          "cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id; stat -c '%n %u %g %a %F' /dev/[!m]* /dev/pts/ptmx /proc/1 /sys /; stat -c %u /dev/mqueue; " +
            "cut -d' ' -f 2,4 /proc/mounts | sed 's/,size=4k//; s/,nr_inodes=1,/,/'; grep Cap /proc/self/status; hostname x && hostname; " +
            "echo > /dev/null && head -c 3 /dev/zero | wc -c; touch /dev/shm/f && stat -c '%u %g' /dev/shm/f",
        ),
        mapped,
        { out: /^ +0 +100000 +65536\n +0 +100000 +65536\nallow\nuid=0/ },
      ),
    ],
  },
  {
    name: "user namespace: a user, limits, oom score, settings, paths",
    steps: [
      {
        host: [
          "sh",
          "-c",
          "mkdir -p $BASE/closed/open && echo content > $BASE/closed/open/file && chmod 700 $BASE/closed",
        ],
      },
      ...runSpec(
        ["--rm"],
        shell(
          "id -u; id -G; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj /proc/sys/net/ipv4/ip_unprivileged_port_start; " +
            "cat /proc/timer_list | wc -c; echo x > /proc/sys/kernel/domainname; cat /tmp/in/file; touch /tmp/in/other; wc -l < /etc/group",
        ),
        (spec, fill) => {
          mapped(spec);
          spec.process.user = { uid: 1000, gid: 1000, additionalGids: [5, 2000] };
          spec.process.rlimits = [{ type: "RLIMIT_NOFILE", soft: 77, hard: 99 }];
          spec.process.oomScoreAdj = 500;
          spec.linux.sysctl = { "net.ipv4.ip_unprivileged_port_start": "80" };
          spec.mounts.push({
            destination: "/tmp/in",
            type: "bind",
            source: fill("$BASE/closed/open"),
            options: ["rbind", "ro"],
          });
        },
        { out: /^1000\n1000 5 2000\n77\n99\n500\n80\n0\ncontent\n/, err: /Read-only/ },
      ),
    ],
  },
  {
    name: "user namespace: terminal, and exec",
    steps: [
      ...runSpec(["-d"], ["/bin/sleep", "1000"], mapped),
      exec(
        "e1",
        [],
        shell("id; cat /proc/self/uid_map; readlink /proc/self/ns/user | cut -c 1-4; grep CapEff /proc/self/status"),
      ),
      exec("e2", ["--user", "1000:1000"], shell("id; touch /dev/shm/mine && stat -c '%u %g' /dev/shm/mine")),
      exec(
        "e3",
        ["-t"],
        shell("until stty size 2>/dev/null | grep -q '[1-9]'; do sleep 0.1; done; tty; stat -c '%u %g %a' /dev/pts/0"),
        { terminal: { rows: 24, columns: 80 } },
      ),
      ...killAndDelete,
    ],
  },
  {
    name: "user namespace: without a network namespace of its own",
    steps: [
      ...runSpec(
        ["--rm"],
        shell("id -u; ls /sys/class/net | wc -l"),
        (spec) => {
          mapped(spec);
          spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "network");
          spec.mounts = spec.mounts.filter(({ type }) => type !== "sysfs");
          spec.mounts.push({
            destination: "/sys",
            type: "bind",
            source: "/sys",
            options: ["rbind", "ro", "nosuid", "nodev", "noexec"],
          });
          spec.linux.maskedPaths = [];
        },
        { out: /^0\n[0-9]+$/ },
      ),
    ],
  },
  {
    name: "user namespace by options",
    skip: (version) => (version === "1.7" ? undefined : "ctr 2.1 cannot remap the image of the bed's snapshotter"),
    steps: [
      {
        ctr: [
          ...["run", "--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536", "$IMAGE", "$ID", "sh", "-c"],
          "cat /proc/self/uid_map /proc/self/gid_map; id; stat -c '%u %g' /bin/busybox /; touch /new && stat -c '%u %g' /new",
        ],
        out: /^ +0 +100000 +65536\n +0 +200000 +65536\nuid=0.*\n0 0\n0 0\n0 0$/,
      },
    ],
  },
  ...["with", "without"].map(
    (word): Scenario => ({
      name: `user namespace: cgroups ${word} a cgroup namespace`,
      steps: [
        ...runSpec(
          ["--rm"],
          shell(
            "id -u; ls /sys/fs/cgroup | sort; grep ' /sys/fs/cgroup/' /proc/self/mountinfo | cut -d' ' -f 5,6 | sort; " +
              "mkdir /sys/fs/cgroup/memory/x;  cut -d: -f 2 /proc/self/cgroup | sort",
          ),
          (spec) => {
            mapped(spec);
            spec.linux.namespaces = spec.linux.namespaces.filter(({ type }) => type !== "cgroup");
            if (word === "with") spec.linux.namespaces.push({ type: "cgroup" });
            spec.mounts.push({
              ...{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup" },
              options: ["ro", "nosuid", "noexec", "nodev"],
            });
          },
          { out: /^0\n/, err: /Read-only|read-only/i },
        ),
      ],
    }),
  ),
  {
    name: "user namespace of somebody else",
    steps: [
      {
        host: [
          "sh",
          "-c",
          "unshare -U sleep 1000 & p=$!; until [ $(readlink /proc/$p/ns/user) != $(readlink /proc/self/ns/user) ]; do sleep 0.1; done; " +
            "echo 0 100000 65536 > /proc/$p/uid_map && echo 0 100000 65536 > /proc/$p/gid_map && " +
            "touch $BASE/user && mount --bind /proc/$p/ns/user $BASE/user; kill $p",
        ],
      },
      ...runSpec(["-d"], ["/bin/sleep", "1000"], (spec, fill) => {
        mapped(spec);
        spec.linux.namespaces = spec.linux.namespaces.map((entry) =>
          entry.type === "user" ? { ...entry, path: fill("$BASE/user") } : entry,
        );
      }),
      exec("e1", [], shell("id -u; cat /proc/self/uid_map; cat /proc/1/comm; stat -c %u /proc/1 /dev/shm"), {
        out: /^0\n +0 +100000 +65536\nsleep\n0\n0$/,
      }),
      ...killAndDelete,
      { host: ["umount", "$BASE/user"] },
    ],
  },
  {
    name: "user namespace: without maps",
    allowed: [{ field: /stderr/, reason: "InvalidArgument names what is wrong; the stock shim says Unknown" }],
    steps: [
      ...runSpec(["--rm"], ["/bin/true"], (spec) => void spec.linux.namespaces.push({ type: "user" }), {
        code: 1,
        errors: "kind",
      }),
    ],
  },
  {
    name: "user namespace: maps without it",
    allowed: [{ field: /./, reason: "runc 1.2 and later refuse it, too" }],
    steps: [
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec) => {
          spec.linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 1 }];
        },
        { vigil: { code: 1, err: /linux\.uidMappings: needs a user namespace/ } },
      ),
    ],
  },
  {
    name: "what a seccomp profile does with a call",
    steps: [
      ...(
        [
          ["SCMP_ACT_ERRNO", { errnoRet: 55 }, 1],
          ["SCMP_ACT_ERRNO", {}, 1],
          ["SCMP_ACT_LOG", {}, 1],
          ["SCMP_ACT_TRACE", { errnoRet: 5 }, 1],
          ["SCMP_ACT_TRAP", {}, 159],
          ["SCMP_ACT_KILL_PROCESS", {}, 159],
          ["SCMP_ACT_KILL", {}, 159],
        ] as const
      ).flatMap(([action, more, code]) =>
        runSpec(
          ["--rm"],
          ["/bin/mkdir", "-m", "711", "/proc/made"],
          (spec) => {
            spec.linux.seccomp = {
              defaultAction: "SCMP_ACT_ALLOW",
              syscalls: [
                {
                  names: ["mkdir"],
                  action,
                  ...more,
                  args: [{ index: 1, value: 0o111, valueTwo: 0o111, op: "SCMP_CMP_MASKED_EQ" }],
                },
              ],
            };
          },
          { code },
        ),
      ),
    ],
  },
  {
    name: "a seccomp agent that is not there",
    steps: [
      ...runSpec(
        ["--rm"],
        ["/bin/true"],
        (spec, fill) => {
          spec.linux.seccomp = {
            defaultAction: "SCMP_ACT_ALLOW",
            listenerPath: fill("$BASE/nobody"),
            syscalls: [{ names: ["mkdir"], action: "SCMP_ACT_NOTIFY" }],
          };
        },
        { code: 1, err: /agent.*no such file or directory/i, errors: "kind" },
      ),
    ],
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
    name: "mounts: recursive attributes, propagation",
    steps: [
      {
        host: [
          "sh",
          "-c",
          "mkdir -p $BASE/outer/inner && mount -t tmpfs -o nodev,size=64k tmpfs $BASE/outer/inner && mount --make-private $BASE/outer/inner",
        ],
      },
      ...runSpec(
        ["--rm"],
        shell(
          "for d in plain all; do touch /tmp/$d/inner/x && echo $d; done; grep ' /tmp/[psu]' /proc/self/mountinfo | cut -d' ' -f 5-6; " +
            "grep -c ' /tmp/[^ ]*shared [^-]*shared:' /proc/self/mountinfo; grep -c ' /tmp/[^ ]*unbindable.* unbindable ' /proc/self/mountinfo; " +
            "grep ' /tmp/all/inner ' /proc/self/mountinfo | cut -d' ' -f 5-6",
        ),
        (spec, fill) => {
          const source = fill("$BASE/outer");
          const bind = (name: string, ...options: string[]) =>
            spec.mounts.push({ destination: `/tmp/${name}`, type: "bind", source, options: ["rbind", ...options] });
          spec.mounts.push({ destination: "/tmp", type: "tmpfs", source: "tmp", options: ["mode=1777"] });
          bind("plain", "ro");
          bind("all", "rro", "rnoexec", "rdev", "rnoatime");
          bind("private", "rprivate");
          bind("slave", "rslave");
          bind("shared", "rshared");
          bind("unbindable", "unbindable");
        },
        { code: 0, out: /^plain\n/, err: /touch: \/tmp\/all\/inner\/x: Read-only/ },
      ),
      { host: ["umount", "$BASE/outer/inner"] },
    ],
  },
  // Not the shared and unbindable ones: runc 1.1 gives them to what it mounts the root in, which is gone then.
  ...["private", "rprivate", "slave", "rslave"].map(
    (value): Scenario => ({
      name: `propagation of the root: ${value}`,
      steps: [
        ...runSpec(
          ["--rm"],
          shell(
            "sed 's/:[0-9]* / /g; s/^[0-9]* [0-9]* [0-9:]* //; s/ - .*//' /proc/self/mountinfo | cut -d' ' -f 2,4- | grep -E '^/(proc|sys|dev)?( |$)'",
          ),
          (spec) => {
            spec.linux.rootfsPropagation = value;
          },
          { out: /^\/$/m },
        ),
      ],
    }),
  ),
  {
    name: "mounts: a tmpfs with what was there",
    steps: [
      ...runSpec(
        ["--rm"],
        shell("ls /etc; stat -c '%u %g %a' /etc /etc/passwd; touch /etc/new && grep -c '/etc tmpfs' /proc/mounts"),
        (spec) => {
          spec.root.readonly = true;
          spec.mounts.push({ destination: "/etc", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "mode=755"] });
        },
        { out: /^group\n(.*\n)*passwd\n/ },
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
