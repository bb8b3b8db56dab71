// What the options of `ctr run` change inside the container and in its cgroup.
import { killAndDelete, run, type Scenario, sh, task } from "../scenario.js";

const bindBase = ["--mount", "type=bind,src=$BASE,dst=/tmp,options=rbind:rw"];

export const configuring: readonly Scenario[] = [
  {
    name: "environment",
    steps: [run(["--rm", "--env", "A=1", "--env", "B=two words"], ["/bin/env"], { out: /^A=1$/m })],
  },
  {
    name: "a program found through PATH",
    steps: [run(["--rm", "--env", "PATH=/usr/bin:/bin"], ["echo", "found"], { out: /^found$/ })],
  },
  { name: "working directory", steps: [run(["--rm", "--cwd", "/tmp"], ["/bin/pwd"], { out: /^\/tmp$/ })] },
  {
    name: "missing working directory is made",
    steps: [run(["--rm", "--cwd", "/tmp/made/$ID"], ["/bin/pwd"], { out: /^\/tmp\/made\/<ID>$/ })],
  },
  {
    name: "user by number",
    steps: [run(["--rm", "--user", "1000:2000"], ["/bin/id"], { out: /uid=1000\S* gid=2000/ })],
  },
  { name: "user by name", steps: [run(["--rm", "--user", "guest"], ["/bin/id"], { out: /uid=1000\S* gid=1000/ })] },
  {
    name: "host name",
    steps: [run(["--rm", "--hostname", "watchtower"], ["/bin/hostname"], { out: /^watchtower$/ })],
  },
  {
    name: "read-only root",
    steps: [sh(["--rm", "--read-only"], "touch /root/file", { code: 1, err: /Read-only file system/ })],
  },
  {
    name: "the machine's network",
    steps: [run(["--rm", "--net-host"], ["/bin/readlink", "/proc/self/ns/net"], { out: /^net:\[\d+\]$/ })],
  },
  {
    name: "a network of its own",
    steps: [
      run(["--rm"], ["/bin/sh", "-c", "ls /sys/class/net; ip link | grep -c ether"], { code: 1, out: /^lo\n0$/ }),
    ],
  },
  {
    name: "bind mounts, read-write and read-only",
    steps: [
      sh(["--rm", ...bindBase], "echo written > /tmp/file"),
      { host: ["cat", "$BASE/file"], out: /^written$/ },
      sh(["--rm", "--mount", "type=bind,src=$BASE,dst=/tmp,options=rbind:ro"], "cat /tmp/file; echo more > /tmp/file", {
        code: 1,
        out: /^written$/,
        err: /Read-only file system/,
      }),
    ],
  },
  {
    name: "memory limit in the cgroup",
    smoke: true,
    steps: [
      run(["-d", "--memory-limit", "67108864"], ["/bin/sleep", "1000"]),
      { host: ["cat", "$LIMIT_FILE"], out: /^67108864$/ },
      ...killAndDelete,
    ],
  },
  {
    name: "cpu limit in the cgroup",
    steps: [
      run(["-d", "--cpus", "0.5"], ["/bin/sleep", "1000"]),
      { host: ["cat", "$CPU_FILE"], out: /^50000( 100000)?$/ },
      ...killAndDelete,
    ],
  },
  {
    name: "cgroup path of the caller",
    steps: [
      run(["-d", "--cgroup", "/$NS/other-$ID"], ["/bin/sleep", "1000"]),
      { host: ["cat", "$MEMORY_ROOT/$NS/other-$ID/cgroup.procs"], mask: /\d+/g, out: /^N$/ },
      ...killAndDelete,
      { host: ["ls", "-d", "$MEMORY_ROOT/$NS/other-$ID"], code: 2 },
    ],
  },
  {
    name: "pid file",
    steps: [
      run(["-d", "--pid-file", "$BASE/pid"], ["/bin/sleep", "1000"]),
      { host: ["sh", "-c", "cat /proc/$(cat $BASE/pid)/comm"], out: /^sleep$/ },
      ...killAndDelete,
    ],
  },
  {
    name: "default seccomp profile",
    steps: [
      run(["--rm", "--seccomp"], ["/bin/grep", "Seccomp:", "/proc/self/status"], { out: /^Seccomp: 2$/ }),
      run(["--rm"], ["/bin/grep", "Seccomp:", "/proc/self/status"], { out: /^Seccomp: 0$/ }),
    ],
  },
  {
    name: "seccomp profile of the caller",
    steps: [
      sh(["--rm", "--seccomp", "--seccomp-profile", "$FIXTURES/no-mkdir.json"], "mkdir /tmp/never; touch /tmp/file", {
        err: /Operation not permitted/,
      }),
    ],
  },
  {
    name: "capabilities",
    steps: [
      run(["--rm", "--cap-drop", "CAP_CHOWN", "--cap-add", "CAP_SYS_TIME"], ["/bin/grep", "Cap", "/proc/self/status"], {
        out: /CapBnd/,
      }),
      run(["--rm", "--user", "1000"], ["/bin/grep", "-E", "Cap|NoNewPrivs|Groups", "/proc/self/status"], {
        out: /CapEff: 0+$/m,
      }),
    ],
  },
  {
    name: "privileged",
    steps: [sh(["--rm", "--privileged"], "mount -t tmpfs x /tmp && grep -c ' /tmp ' /proc/mounts", { out: /^1$/ })],
  },
  {
    name: "mounts as the container sees them",
    allowed: [
      {
        field: /step 1 stdout/,
        reason: "masking file systems hold one inode, as runc 1.4 makes them; Debian's runc is older",
      },
    ],
    steps: [
      // Newer runtimes than the stock one give masked directories a smaller tmpfs.
      run(["--rm"], ["/bin/grep", "-v", "-e", " /proc/acpi ", "-e", " /sys/firmware ", "/proc/mounts"], {
        out: /^proc \/proc proc/m,
      }),
    ],
  },
  {
    name: "devices and masked paths",
    steps: [
      sh(
        ["--rm"],
        "cd /dev; stat -c '%n %F %t:%T %a %u:%g' * | sort; readlink fd; readlink stdin; readlink ptmx; true",
        { out: /null character/ },
      ),
      sh(["--rm"], "wc -c < /proc/kcore; ls /proc/acpi /sys/firmware 2>&1; echo x 2>&1 > /proc/sysrq-trigger", {
        code: "any",
      }),
    ],
  },
  {
    name: "limits, priorities and descriptors",
    steps: [
      sh(
        ["--rm"],
        "ulimit -a; umask; cat /proc/self/oom_score_adj; ls /proc/self/fd | wc -l; id; cat /proc/1/cmdline",
        {
          out: /^0022$/m,
        },
      ),
    ],
  },
  {
    name: "signals as the container finds them",
    steps: [
      // Signals 1 to 28. The stock shim and runc hand on that 32 and 33 are ignored (a C library's own: it refuses to reset
      // them) if whoever started containerd had it so; vigil does not.
      run(["--rm"], ["/bin/sed", "-nE", "s/^(Sig(Blk|Ign|Cgt)|ShdPnd):.*(.{7})$/\\1 \\3/p", "/proc/self/status"], {
        out: /^SigIgn 0+$/m,
      }),
    ],
  },
  {
    name: "missing program",
    smoke: true,
    steps: [run(["--rm"], ["/bin/nosuch"], { code: 1, err: /not found|no such file/i, errors: "kind" })],
  },
  {
    name: "program that may not be executed",
    steps: [run(["--rm"], ["/etc/passwd"], { code: 1, err: /permission denied/i, errors: "kind" })],
  },
  {
    name: "missing root",
    allowed: [{ field: /stderr/, reason: "InvalidArgument names what is wrong; the stock shim says Unknown" }],
    steps: [
      { ctr: ["run", "--rm", "--rootfs", "$BASE/nosuch", "$ID", "/bin/true"], code: 1, errors: "kind" },
      task("ls", [], { out: /^TASK PID STATUS$/ }),
    ],
  },
  {
    name: "image with an overlay root",
    steps: [
      {
        ctr: [
          "run",
          "--rm",
          "$IMAGE",
          "$ID",
          "sh",
          "-c",
          "echo $FROM_IMAGE; touch /new && ls /new; grep -c ' / overlay' /proc/mounts",
        ],
        out: /^from the image\n\/new\n1$/,
      },
      { ctr: ["run", "--rm", "--read-only", "$IMAGE", "$ID", "touch", "/new"], code: 1, err: /Read-only/ },
      {
        ctr: ["run", "--rm", "--user", "guest", "--cwd", "/tmp", "$IMAGE", "$ID", "sh", "-c", "id -un; pwd"],
        out: /^guest\n\/tmp$/,
      },
    ],
  },
];
