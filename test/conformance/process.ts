// The process: arguments, environment, directory, limits, privileges, scheduling.
import { equal, match, notEqual, ok } from "node:assert/strict";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { namespaces, script } from "./harness/config.js";
import { needCapability, statusField } from "./harness/host.js";
import { section, skip } from "./harness/test.js";

const CAP_SYS_RESOURCE = 24;
const CAP_SYS_NICE = 23;

export const processTests = [
  ...section("config.md#process", {
    "args are the arguments, unchanged": async (t) => {
      const args = ["sh", "-c", 'for a; do echo "[$a]"; done', "zero", "one two", "", "*", "$HOME", "ü\n."];
      const container = await t.created({ process: { args } });
      await container.start();
      await container.ended();
      equal(container.out, "[one two]\n[]\n[*]\n[$HOME]\n[ü\n.]\n");
    },
    "the program is looked for in PATH of the container's environment": async (t) => {
      const prepare = ({ rootfs }: { rootfs: string }) => {
        writeFileSync(join(rootfs, "etc/hello"), "#!/bin/sh\necho hello\n");
        chmodSync(join(rootfs, "etc/hello"), 0o755);
      };
      const args = ["hello"];
      const container = await t.created({ process: { args, env: ["PATH=/nowhere:/etc"] } }, { prepare });
      await container.start();
      await container.ended();
      equal(container.out, "hello\n");
      await t.refusedByStart({ process: { args, env: ["PATH=/nowhere"] } }, { prepare });
    },
    "a program that does not exist is refused": async (t) => {
      match(await t.refusedByStart({ process: { args: ["/no/such/program"] } }), /no.such.program|no such file/i);
    },
    "a program that may not be executed is refused": async (t) => {
      await t.refusedByStart({ process: { args: ["/etc/passwd"] } });
    },
    "empty args are refused": async (t) => {
      await t.refusedByStart({ process: { args: [] } });
    },
    "missing args are refused": async (t) => {
      await t.refusedByStart({ process: { args: undefined } });
    },
    "env is the environment and nothing of the runtime's is added": async (t) => {
      const env = ["PATH=/bin", "HOME=/tmp", "A=1", "EMPTY=", "WITH=a=b"];
      const out = await t.probe("cat /proc/self/environ | tr '\\0' '\\n'", { process: { env } });
      // Both come from the shell itself.
      const found = out.split("\n").filter((line) => !/^(PWD|SHLVL|OLDPWD)=/.test(line));
      equal(found.sort().join("\n"), [...env].sort().join("\n"));
    },
    "of a name given twice the last counts": async (t) => {
      const env = ["PATH=/bin", "A=first", "A=last"];
      equal(await t.probe("echo $A", { process: { env } }), "last");
    },
    "cwd is the working directory": async (t) => {
      equal(await t.probe("pwd", { process: { cwd: "/etc" } }), "/etc");
    },
    "a relative cwd is refused": async (t) => {
      await t.refused({ process: { cwd: "etc" } });
    },
    "a missing cwd is refused": async (t) => {
      await t.refused({ process: { cwd: undefined } });
    },
    "a cwd that is a file is refused": async (t) => {
      await t.refusedByStart({ process: { cwd: "/etc/passwd" } });
    },
    "a cwd that does not exist is made, or refused": async (t) => {
      const container = await t
        .created({ ...script("pwd"), process: { ...(script("pwd").process as object), cwd: "/new/place" } })
        .catch((error: Error) => error);
      if (container instanceof Error) match(container.message, /create: status/);
      else {
        if ((await container.call("start")).code !== 0) return;
        await container.ended();
        equal(container.out, "/new/place\n");
      }
    },
    "standard input, output and error are those of create": async (t) => {
      equal(await t.probe("cat; echo err >&2", {}, { stdin: "typed\n" }), "typed");
    },
    "without a terminal there is none, whatever consoleSize says": async (t) => {
      const out = await t.probe("tty -s || echo none", { process: { consoleSize: { height: 10, width: 20 } } });
      equal(out, "none");
    },
  }),
  ...section("config.md#posix-process", {
    "every kind of limit is as configured": async (t) => {
      const kinds: Record<string, [string, number, number]> = {
        RLIMIT_CPU: ["Max cpu time", 1000, 2000],
        RLIMIT_FSIZE: ["Max file size", 1_000_000, 2_000_000],
        RLIMIT_DATA: ["Max data size", 1_000_000_000, 2_000_000_000],
        RLIMIT_STACK: ["Max stack size", 4_000_000, 8_000_000],
        RLIMIT_CORE: ["Max core file size", 0, 0],
        RLIMIT_RSS: ["Max resident set", 1_000_000_000, 2_000_000_000],
        RLIMIT_NPROC: ["Max processes", 1000, 2000],
        RLIMIT_NOFILE: ["Max open files", 100, 200],
        RLIMIT_MEMLOCK: ["Max locked memory", 4096, 8192],
        RLIMIT_AS: ["Max address space", 1_000_000_000, 2_000_000_000],
        RLIMIT_LOCKS: ["Max file locks", 10, 20],
        RLIMIT_SIGPENDING: ["Max pending signals", 100, 200],
        RLIMIT_MSGQUEUE: ["Max msgqueue size", 1000, 2000],
        RLIMIT_NICE: ["Max nice priority", 0, 0],
        RLIMIT_RTPRIO: ["Max realtime priority", 0, 0],
        RLIMIT_RTTIME: ["Max realtime timeout", 1000, 2000],
      };
      const rlimits = Object.entries(kinds).map(([type, [, soft, hard]]) => ({ type, soft, hard }));
      const out = await t.probe("cat /proc/self/limits", { process: { rlimits } });
      for (const [type, [name, soft, hard]] of Object.entries(kinds)) {
        match(out, new RegExp(`^${name} +${soft} +${hard} `, "m"), type);
      }
    },
    // runc and crun set one after the other.
    "a kind of limit twice is refused": async (t) => {
      const limit = { type: "RLIMIT_NOFILE", soft: 100, hard: 200 };
      await t.refused({ process: { rlimits: [limit, limit] } });
    },
    "an unknown kind of limit is refused": async (t) => {
      await t.refused({ process: { rlimits: [{ type: "RLIMIT_NOSUCH", soft: 1, hard: 1 }] } });
    },
    "a soft limit above the hard one is refused": async (t) => {
      await t.refusedByStart({ process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 300, hard: 200 }] } });
    },
    "a limit without restriction": async (t) => {
      const infinity = BigInt("18446744073709551615");
      // JSON.stringify has no way to write it.
      const container = t.container(script("grep 'file size' /proc/self/limits | head -n 1"), {
        prepare: ({ bundle }) => {
          const file = join(bundle, "config.json");
          const text = readFileSync(file, "utf8");
          const limit = `"rlimits": [{ "type": "RLIMIT_FSIZE", "soft": ${infinity}, "hard": ${infinity} }],`;
          writeFileSync(file, text.replace('"cwd":', `${limit} "cwd":`));
        },
      });
      await container.mustCreate();
      await container.start();
      await container.ended();
      match(container.out, /unlimited +unlimited/);
    },
    "a process of exec has them, too": async (t) => {
      const container = await t.running({ process: { rlimits: [{ type: "RLIMIT_NOFILE", soft: 100, hard: 200 }] } });
      match((await container.exec("grep open /proc/self/limits")).out, / 100 +200 /);
    },
    "a raised limit is granted to a runtime that may": async (t) => {
      needCapability("CAP_SYS_RESOURCE", CAP_SYS_RESOURCE);
      const limit = { type: "RLIMIT_MSGQUEUE", soft: 10_000_000, hard: 10_000_000 };
      match(await t.probe("grep msgqueue /proc/self/limits", { process: { rlimits: [limit] } }), /10000000/);
    },
  }),
  ...section("config.md#linux-process", {
    "noNewPrivileges: the process has it": async (t) => {
      const out = await t.probe("cat /proc/self/status", { process: { noNewPrivileges: true } });
      equal(statusField(out, "NoNewPrivs"), "1");
    },
    "noNewPrivileges absent or false: it has not": async (t) => {
      equal(statusField(await t.probe("cat /proc/self/status"), "NoNewPrivs"), "0");
    },
    "noNewPrivileges holds for exec": async (t) => {
      const container = await t.running({ process: { noNewPrivileges: true } });
      equal(statusField((await container.exec("cat /proc/self/status")).out, "NoNewPrivs"), "1");
    },
    "oomScoreAdj is set": async (t) => {
      equal(await t.probe("cat /proc/self/oom_score_adj", { process: { oomScoreAdj: 321 } }), "321");
    },
    "oomScoreAdj 0 is set, too": async (t) => {
      equal(await t.probe("cat /proc/self/oom_score_adj", { process: { oomScoreAdj: 0 } }), "0");
    },
    "without oomScoreAdj the runtime's stays": async (t) => {
      const own = readFileSync("/proc/self/oom_score_adj", "utf8").trim();
      equal(await t.probe("cat /proc/self/oom_score_adj"), own);
    },
    "oomScoreAdj beyond 1000 is refused": async (t) => {
      await t.refusedByStart({ process: { oomScoreAdj: 1001 } });
    },
    "scheduler: policy and nice": async (t) => {
      const scheduler = { policy: "SCHED_BATCH", nice: 7 };
      const container = await t.running({ process: { scheduler } });
      const fields = (await t.host("cat", `/proc/${await container.pid()}/stat`)).split(") ")[1]?.split(" ") ?? [];
      // proc(5): nice is field 19, policy field 41; the part behind the name begins with field 3.
      equal(fields[19 - 3], "7");
      equal(fields[41 - 3], "3");
    },
    "scheduler: an unknown policy is refused": async (t) => {
      await t.refused({ process: { scheduler: { policy: "SCHED_NOSUCH" } } });
    },
    "scheduler: an unknown flag is refused": async (t) => {
      await t.refused({ process: { scheduler: { policy: "SCHED_OTHER", flags: ["SCHED_FLAG_NOSUCH"] } } });
    },
    "scheduler: a real-time priority": async (t) => {
      needCapability("CAP_SYS_NICE", CAP_SYS_NICE);
      if (existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")) {
        skip("with RT_GROUP_SCHED a new cgroup has no real-time budget (cgroup v1 sched-rt-group.txt)");
      }
      const container = await t.running({ process: { scheduler: { policy: "SCHED_FIFO", priority: 5 } } });
      const fields = (await t.host("cat", `/proc/${await container.pid()}/stat`)).split(") ")[1]?.split(" ") ?? [];
      equal(fields[40 - 3], "5");
      equal(fields[41 - 3], "1");
    },
    "ioPriority: class and priority": async (t) => {
      const ioPriority = { class: "IOPRIO_CLASS_BE", priority: 6 };
      equal(await t.probe("ionice -p $$", { process: { ioPriority } }), "best-effort: prio 6");
    },
    "ioPriority: an unknown class is refused": async (t) => {
      await t.refused({ process: { ioPriority: { class: "IOPRIO_CLASS_NOSUCH", priority: 1 } } });
    },
    "ioPriority holds for exec": async (t) => {
      const container = await t.running({ process: { ioPriority: { class: "IOPRIO_CLASS_BE", priority: 6 } } });
      equal((await container.exec("ionice -p $$")).out, "best-effort: prio 6\n");
    },
    "execCPUAffinity: final is the affinity of exec": async (t) => {
      if (availableParallelism() < 2) skip("one processor leaves nothing to choose");
      const container = await t.running({ process: { execCPUAffinity: { initial: "0", final: "1" } } });
      equal(statusField((await container.exec("cat /proc/self/status")).out, "Cpus_allowed_list"), "1");
    },
    "execCPUAffinity: what is no list of processors is refused": async (t) => {
      const container = t.container({ process: { execCPUAffinity: { initial: "a-b" } } });
      if ((await container.create()).code !== 0) return;
      await container.start();
      notEqual((await container.exec("true")).code, 0);
    },
    "apparmorProfile is applied, or refused on a host without": async (t) => {
      if (existsSync("/sys/kernel/security/apparmor")) skip("needs a profile that is loaded on this machine");
      await t.refusedByStart({ process: { apparmorProfile: "no-such-profile" } });
    },
    "selinuxLabel is applied, or refused on a host without": async (t) => {
      if (existsSync("/sys/fs/selinux")) skip("needs a policy that is loaded on this machine");
      await t.refusedByStart({ process: { selinuxLabel: "system_u:system_r:container_t:s0:c1,c2" } });
    },
  }),
  ...section("runtime-linux.md#file-descriptors", {
    "only standard input, output and error are open": async (t) => {
      // The directory that ls itself reads is number 3.
      equal(await t.probe("ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3");
    },
    "nor in a process of exec": async (t) => {
      const container = await t.running();
      equal((await container.exec("ls /proc/self/fd | tr '\\n' ' '")).out.trim(), "0 1 2 3");
    },
    "--preserve-fds keeps that many more": async (t) => {
      const file = t.file("kept", "kept\n");
      const { open } = await import("node:fs/promises");
      const handle = await open(file);
      t.afterwards(() => handle.close());
      const out = await t.probe("cat <&3", {}, { arguments: ["--preserve-fds", "1"], inherit: [handle.fd] });
      equal(out, "kept");
    },
  }),
  ...section("runtime-linux.md#dev-symbolic-links", {
    "/dev/fd, stdin, stdout and stderr": async (t) => {
      const out = await t.probe("cd /dev; for l in fd stdin stdout stderr; do readlink $l; done");
      equal(out, "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2");
    },
  }),
  ...section("config.md#linux-process", {
    "umask of the user is the process's": async (t) => {
      equal(await t.probe("umask", { process: { user: { umask: 0o027 } } }), "0027");
    },
    "umask is 0022 when none is given": async (t) => {
      equal(await t.probe("umask"), "0022");
    },
    "umask holds for exec": async (t) => {
      const container = await t.running({ process: { user: { umask: 0o027 } } });
      equal((await container.exec("umask")).out, "0027\n");
    },
  }),
  ...section("config.md#user", {
    "uid and gid": async (t) => {
      equal(await t.probe("id -u; id -g", { process: { user: { uid: 1000, gid: 2000 } } }), "1000\n2000");
    },
    "ids that /etc/passwd does not know": async (t) => {
      equal(await t.probe("id -u; id -g", { process: { user: { uid: 54321, gid: 54322 } } }), "54321\n54322");
    },
    "additionalGids are the only other groups": async (t) => {
      const out = await t.probe("cat /proc/self/status", {
        process: { user: { uid: 1000, gid: 1000, additionalGids: [5, 3000] } },
      });
      equal(statusField(out, "Groups"), "5 3000");
    },
    "without additionalGids there are no other groups": async (t) => {
      equal(statusField(await t.probe("cat /proc/self/status"), "Groups"), "");
    },
    "real, effective, saved and file system ids are all the same": async (t) => {
      const out = await t.probe("cat /proc/self/status", { process: { user: { uid: 1000, gid: 2000 } } });
      equal(statusField(out, "Uid").replace(/\s+/g, " "), "1000 1000 1000 1000");
      equal(statusField(out, "Gid").replace(/\s+/g, " "), "2000 2000 2000 2000");
    },
    "another user than root has no effective capabilities": async (t) => {
      const out = await t.probe("cat /proc/self/status", { process: { user: { uid: 1000, gid: 1000 } } });
      equal(statusField(out, "CapEff"), "0000000000000000");
    },
    "a negative uid is refused": async (t) => {
      await t.refused({ process: { user: { uid: -1, gid: 0 } } });
    },
  }),
  ...section("config-linux.md#personality", {
    "LINUX32: uname shows a 32-bit processor": async (t) => {
      notEqual(await t.probe("uname -m", { linux: { personality: { domain: "LINUX32" } } }), "x86_64");
    },
    "LINUX: uname shows the machine's": async (t) => {
      const machine = (await t.host("uname", "-m")).trim();
      equal(await t.probe("uname -m", { linux: { personality: { domain: "LINUX" } } }), machine);
    },
    "an unknown domain is refused": async (t) => {
      await t.refused({ linux: { personality: { domain: "NOSUCH" } } });
    },
    // runc and crun read no flags.
    "unknown flags are refused": async (t) => {
      await t.refused({ linux: { personality: { domain: "LINUX", flags: ["NOSUCH"] } } });
    },
  }),
  ...section("config-linux.md#intelrdt", {
    "without a mounted resctrl file system it is refused": async (t) => {
      if (readFileSync("/proc/mounts", "utf8").includes(" resctrl ")) skip("a resctrl file system is mounted");
      await t.refused({ linux: { intelRdt: { closID: "conformance", l3CacheSchema: "L3:0=f" } } });
    },
  }),
  ...section("config-linux.md#memory-policy", {
    "the policy is the process's": async (t) => {
      const memoryPolicy = { mode: "MPOL_INTERLEAVE", nodes: "0" };
      if (!existsSync("/proc/self/numa_maps")) skip("a kernel without NUMA");
      match(await t.probe("head -n 1 /proc/self/numa_maps", { linux: { memoryPolicy } }), / interleave(=static)?:0 /);
    },
    "an unknown mode is refused": async (t) => {
      await t.refused({ linux: { memoryPolicy: { mode: "MPOL_NOSUCH", nodes: "0" } } });
    },
  }),
  ...section("config-linux.md#sysctl", {
    "of the network namespace": async (t) => {
      const sysctl = { "net.core.somaxconn": "256" };
      equal(await t.probe("cat /proc/sys/net/core/somaxconn", { linux: { sysctl } }), "256");
    },
    "of the ipc namespace": async (t) => {
      const sysctl = { "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "11" };
      const out = await t.probe("cat /proc/sys/kernel/shm_rmid_forced /proc/sys/fs/mqueue/msg_max", {
        linux: { sysctl },
      });
      equal(out, "1\n11");
    },
    "names with slashes": async (t) => {
      const sysctl = { "net/ipv4/ip_forward": "1" };
      equal(await t.probe("cat /proc/sys/net/ipv4/ip_forward", { linux: { sysctl } }), "1");
    },
    "one of the whole machine is refused": async (t) => {
      const before = readFileSync("/proc/sys/vm/swappiness", "utf8");
      await t.refused({ linux: { sysctl: { "vm.swappiness": "13" } } });
      equal(readFileSync("/proc/sys/vm/swappiness", "utf8"), before);
    },
    "one of the network without a network namespace is refused": async (t) => {
      const { linux } = namespaces({ without: ["network"] });
      await t.refused({ linux: { ...(linux as object), sysctl: { "net.ipv4.ip_forward": "1" } } });
    },
    "one of ipc without an ipc namespace is refused": async (t) => {
      const { linux } = namespaces({ without: ["ipc"] });
      await t.refused({ linux: { ...(linux as object), sysctl: { "kernel.msgmax": "8193" } } });
    },
    "one that leads out of its directory is refused": async (t) => {
      const before = readFileSync("/proc/sys/vm/swappiness", "utf8");
      await t.refused({ linux: { sysctl: { "net/../vm/swappiness": "13" } } });
      equal(readFileSync("/proc/sys/vm/swappiness", "utf8"), before);
    },
    "an unknown one is refused": async (t) => {
      await t.refused({ linux: { sysctl: { "net.ipv4.no_such_thing": "1" } } });
    },
    "a value that the kernel does not take is refused": async (t) => {
      await t.refused({ linux: { sysctl: { "net.ipv4.ip_forward": "many" } } });
    },
    "the host's value does not change": async (t) => {
      const before = readFileSync("/proc/sys/net/core/somaxconn", "utf8");
      ok((await t.running({ linux: { sysctl: { "net.core.somaxconn": "77" } } })).id !== "");
      equal(readFileSync("/proc/sys/net/core/somaxconn", "utf8"), before);
    },
  }),
];
