// System call filters.
import { equal, match } from "node:assert/strict";
import { constants } from "node:os";
import type { Bed } from "./harness/bed.js";
import type { Edit } from "./harness/config.js";
import { merge, script } from "./harness/config.js";
import { closeAll, FdSocket } from "./harness/fd-socket.js";
import { statusField } from "./harness/host.js";
import { everywhere, section, skip } from "./harness/test.js";

/** A profile that allows everything but what the rules say. */
function rules(...syscalls: Edit[]): Edit {
  return { linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls } } };
}

// A call that the shell's tools make and nothing else needs. mkdir(1) and chmod(1) of busybox use these names on some machines only.
const makeDirectory = ["mkdir", "mkdirat"];
const attempt = "mkdir /tmp/new 2>&1; echo $?";

/** An error's number as busybox reports it. */
async function errorOfMkdir(t: Bed, rule: Edit): Promise<string> {
  return t.probe(attempt, rules({ names: makeDirectory, ...rule }));
}

/** chmod's second argument decides; one rule with the comparison, and three modes tried. */
async function refusedModes(t: Bed, args: readonly Edit[], modes: readonly string[]): Promise<string> {
  const text = `cp /etc/passwd /tmp/f; for m in ${modes.join(" ")}; do chmod $m /tmp/f 2>/dev/null || echo $m; done`;
  const names = ["chmod"];
  const out = await t.probe(text, rules({ names, action: "SCMP_ACT_ERRNO", args }));
  return out.split("\n").join(" ");
}

// index 1 is the mode of chmod(2).
const comparisons: readonly (readonly [string, Edit, string])[] = [
  ["SCMP_CMP_EQ", { op: "SCMP_CMP_EQ", value: 0o600 }, "600"],
  ["SCMP_CMP_NE", { op: "SCMP_CMP_NE", value: 0o600 }, "400 644"],
  ["SCMP_CMP_LT", { op: "SCMP_CMP_LT", value: 0o600 }, "400"],
  ["SCMP_CMP_LE", { op: "SCMP_CMP_LE", value: 0o600 }, "400 600"],
  ["SCMP_CMP_GT", { op: "SCMP_CMP_GT", value: 0o600 }, "644"],
  ["SCMP_CMP_GE", { op: "SCMP_CMP_GE", value: 0o600 }, "600 644"],
  ["SCMP_CMP_MASKED_EQ", { op: "SCMP_CMP_MASKED_EQ", value: 0o200, valueTwo: 0o200 }, "600 644"],
];

function needChmod(): void {
  if (process.arch !== "x64") skip(`chmod(2) is not a system call of ${process.arch}`);
}

export const seccompTests = section("config-linux.md#seccomp", {
  "the process is under a filter": async (t) => {
    const out = await t.probe("cat /proc/self/status", rules({ names: ["reboot"], action: "SCMP_ACT_ERRNO" }));
    equal(statusField(out, "Seccomp"), "2");
  },
  "without seccomp there is none": async (t) => {
    equal(statusField(await t.probe("cat /proc/self/status"), "Seccomp"), "0");
  },
  "a process of exec is under it, too": async (t) => {
    const container = await t.running(rules({ names: makeDirectory, action: "SCMP_ACT_ERRNO" }));
    match((await container.exec(attempt)).out, /not permitted\n1\n$/);
  },
  "SCMP_ACT_ERRNO is EPERM": async (t) => {
    match(await errorOfMkdir(t, { action: "SCMP_ACT_ERRNO" }), /not permitted\n1$/);
  },
  "errnoRet is another error": async (t) => {
    match(await errorOfMkdir(t, { action: "SCMP_ACT_ERRNO", errnoRet: constants.errno.EBUSY }), /busy\n1$/);
  },
  "errnoRet 0 is success without effect": async (t) => {
    equal(
      await t.probe("mkdir /tmp/new; ls /tmp", rules({ names: makeDirectory, action: "SCMP_ACT_ERRNO", errnoRet: 0 })),
      "",
    );
  },
  "errnoRet with an action that has no error is refused": async (t) => {
    await t.refusedByStart(rules({ names: ["reboot"], action: "SCMP_ACT_KILL", errnoRet: 1 }));
  },
  "defaultErrnoRet is the error of what is not listed": async (t) => {
    // All that a shell needs to say something, and nothing else.
    const names = [
      "execve",
      "brk",
      "arch_prctl",
      "prctl",
      "read",
      "write",
      "close",
      "exit",
      "exit_group",
      "mmap",
      "munmap",
      "mprotect",
      "rt_sigaction",
      "rt_sigprocmask",
      "rt_sigreturn",
      "getpid",
      "getppid",
      "getuid",
      "geteuid",
      "getgid",
      "getegid",
      "getcwd",
      "uname",
      "stat",
      "fstat",
      "newfstatat",
      "ioctl",
      "fcntl",
      "set_tid_address",
      "set_robust_list",
      "rseq",
      "prlimit64",
      "readlink",
      "readlinkat",
      "getrandom",
      "open",
      "openat",
      "access",
      "faccessat",
      "faccessat2",
      "clone",
      "clone3",
      "fork",
      "vfork",
      "wait4",
      "futex",
      "writev",
      "poll",
      "dup",
      "dup2",
      "dup3",
      "capget",
      "capset",
      "chdir",
      "setuid",
      "setgid",
      "setgroups",
      "getdents64",
      "epoll_ctl",
      "epoll_pwait",
      "nanosleep",
      "sigaltstack",
      "gettid",
      "tgkill",
      "madvise",
      "statx",
      "fstatfs",
      "close_range",
      "sched_yield",
      "sched_getaffinity",
      "seccomp",
      "sendto",
      "recvfrom",
      "sendmsg",
      "recvmsg",
      "getpgrp",
      "setsid",
      "umask",
      "fchdir",
      "lseek",
      "pread64",
      "statfs",
      "keyctl",
      "setresuid",
      "setresgid",
      "getgroups",
      "epoll_create1",
      "eventfd2",
      "pipe2",
      "socket",
      "connect",
      "rt_sigtimedwait",
      "fchown",
      "execveat",
      "mknodat",
      "fsetxattr",
      "lsetxattr",
      "unshare",
      "setns",
      "kill",
      "pidfd_open",
      "pidfd_send_signal",
      "clock_gettime",
      "memfd_create",
      "getsockopt",
      "shutdown",
      "setpgid",
      "ppoll",
    ];
    const seccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: constants.errno.EBUSY,
      syscalls: [{ names, action: "SCMP_ACT_ALLOW" }],
    };
    // With noNewPrivileges a runtime can load the filter last, so that it need not let through what the runtime itself does.
    match(await t.probe(attempt, { process: { noNewPrivileges: true }, linux: { seccomp } }), /busy\n1$/);
  },
  "SCMP_ACT_KILL_PROCESS ends the process by SIGSYS": async (t) => {
    equal((await errorOfMkdir(t, { action: "SCMP_ACT_KILL_PROCESS" })).split("\n").at(-1), `${128 + 31}`);
  },
  "SCMP_ACT_KILL and SCMP_ACT_KILL_THREAD end it, too": async (t) => {
    for (const action of ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD"]) {
      equal((await errorOfMkdir(t, { action })).split("\n").at(-1), `${128 + 31}`, action);
    }
  },
  "SCMP_ACT_TRAP is SIGSYS": async (t) => {
    equal((await errorOfMkdir(t, { action: "SCMP_ACT_TRAP" })).split("\n").at(-1), `${128 + 31}`);
  },
  "SCMP_ACT_TRACE without a tracer is ENOSYS": async (t) => {
    match(await errorOfMkdir(t, { action: "SCMP_ACT_TRACE" }), /not implemented\n1$/);
  },
  "SCMP_ACT_LOG lets the call pass": async (t) => {
    equal(await errorOfMkdir(t, { action: "SCMP_ACT_LOG" }), "0");
  },
  "SCMP_ACT_ALLOW lets the call pass": async (t) => {
    equal(await errorOfMkdir(t, { action: "SCMP_ACT_ALLOW" }), "0");
  },
  ...Object.fromEntries(
    comparisons.map(([op, comparison, expected]) => [
      `args: ${op}`,
      async (t: Bed) => {
        needChmod();
        equal(await refusedModes(t, [{ index: 1, ...comparison }], ["400", "600", "644"]), expected);
      },
    ]),
  ),
  "args: several must all be true": async (t) => {
    needChmod();
    const args = [
      { index: 1, value: 0o600, op: "SCMP_CMP_EQ" },
      { index: 0, value: 0, op: "SCMP_CMP_EQ" },
    ];
    equal(await refusedModes(t, args, ["400", "600"]), "");
  },
  "args: an unknown comparison is refused": async (t) => {
    await t.refusedByStart(
      rules({ names: ["chmod"], action: "SCMP_ACT_ERRNO", args: [{ index: 0, value: 1, op: "SCMP_CMP_NOSUCH" }] }),
    );
  },
  "args: an index beyond the sixth argument is refused": async (t) => {
    await t.refusedByStart(
      rules({ names: ["chmod"], action: "SCMP_ACT_ERRNO", args: [{ index: 6, value: 1, op: "SCMP_CMP_EQ" }] }),
    );
  },
  "an unknown action is refused": async (t) => {
    await t.refusedByStart(rules({ names: ["chmod"], action: "SCMP_ACT_NOSUCH" }));
  },
  "a missing defaultAction is refused": async (t) => {
    await t.refusedByStart({ linux: { seccomp: { syscalls: [{ names: ["reboot"], action: "SCMP_ACT_ERRNO" }] } } });
  },
  "an unknown architecture is refused": async (t) => {
    await t.refusedByStart({
      linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_NOSUCH"] } },
    });
  },
  "architectures: the machine's own and its relatives": async (t) => {
    if (process.arch !== "x64") skip(`written for x86-64, not ${process.arch}`);
    const architectures = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"];
    const seccomp = {
      ...(rules({ names: makeDirectory, action: "SCMP_ACT_ERRNO" }).linux as { seccomp: Edit }).seccomp,
      architectures,
    };
    match(await t.probe(attempt, { linux: { seccomp } }), /not permitted\n1$/);
  },
  "a name that no machine knows is ignored": async (t) => {
    equal(await t.probe("echo ran", rules({ names: ["no_such_call", "reboot"], action: "SCMP_ACT_ERRNO" })), "ran");
  },
  "an entry without names is refused": everywhere("runc and crun take it for a rule without effect", async (t) => {
    await t.refusedByStart(rules({ names: [], action: "SCMP_ACT_ERRNO" }));
  }),
  "flags: SECCOMP_FILTER_FLAG_LOG and SPEC_ALLOW": async (t) => {
    const flags = ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"];
    const seccomp = {
      ...(rules({ names: makeDirectory, action: "SCMP_ACT_ERRNO" }).linux as { seccomp: Edit }).seccomp,
      flags,
    };
    match(await t.probe(attempt, { linux: { seccomp } }), /not permitted\n1$/);
  },
  "flags: an unknown one is refused": async (t) => {
    await t.refusedByStart({
      linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_NOSUCH"] } },
    });
  },
  "it works together with noNewPrivileges and another user": async (t) => {
    const edit = merge(rules({ names: makeDirectory, action: "SCMP_ACT_ERRNO" }), {
      process: { noNewPrivileges: true, user: { uid: 1000, gid: 1000 } },
    });
    match(await t.probe(attempt, edit), /not permitted\n1$/);
  },
  "listenerPath: the agent gets the state, its metadata and the listener": async (t) => {
    const socket = await FdSocket.listen(t);
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: socket.path,
      listenerMetadata: "some words",
      syscalls: [{ names: makeDirectory, action: "SCMP_ACT_NOTIFY" }],
    };
    const container = t.container(merge(script(attempt), { linux: { seccomp } }));
    const created = await container.create();
    equal(created.code, 0, created.err);
    const starting = container.call("start");
    const received = await socket.received();
    const message = JSON.parse(received.data) as {
      ociVersion: string;
      fds: string[];
      pid: number;
      metadata: string;
      state: { id: string; bundle: string; status: string; pid: number };
    };
    match(message.ociVersion, /^\d+\.\d+\.\d+/);
    equal(message.metadata, "some words");
    equal(message.fds.indexOf("seccompFd"), 0);
    equal(received.fds.length, 1);
    equal(message.state.id, container.id);
    equal(message.state.bundle, container.bundle);
    equal((await starting).code, 0);
    equal(message.pid, await container.pid());
    // Without an agent a call that waits for one fails: seccomp_unotify(2).
    closeAll(received);
    await container.ended();
    match(container.out, /not implemented\n1\n$/);
    equal(socket.connections, 1);
  },
  "listenerPath: nobody listening there is an error": async (t) => {
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: `${t.folder}/nobody`,
      syscalls: [{ names: makeDirectory, action: "SCMP_ACT_NOTIFY" }],
    };
    await t.refusedByStart({ linux: { seccomp } });
  },
  "listenerPath: without SCMP_ACT_NOTIFY it is ignored": async (t) => {
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerPath: `${t.folder}/nobody`,
      syscalls: [{ names: makeDirectory, action: "SCMP_ACT_ERRNO" }],
    };
    match(await t.probe(attempt, { linux: { seccomp } }), /not permitted\n1$/);
  },
  "SCMP_ACT_NOTIFY without listenerPath is refused": async (t) => {
    await t.refusedByStart(rules({ names: makeDirectory, action: "SCMP_ACT_NOTIFY" }));
  },
  "listenerMetadata without listenerPath is refused": async (t) => {
    const seccomp = {
      defaultAction: "SCMP_ACT_ALLOW",
      listenerMetadata: "x",
      syscalls: [{ names: makeDirectory, action: "SCMP_ACT_NOTIFY" }],
    };
    await t.refusedByStart({ linux: { seccomp } });
  },
  "rules of one call with different arguments add up": async (t) => {
    needChmod();
    const rule = (value: number) => ({
      names: ["chmod"],
      action: "SCMP_ACT_ERRNO",
      args: [{ index: 1, value, op: "SCMP_CMP_EQ" }],
    });
    const text = "cp /etc/passwd /tmp/f; for m in 400 600 644; do chmod $m /tmp/f 2>/dev/null || echo $m; done";
    equal(await t.probe(text, rules(rule(0o400), rule(0o644))), "400\n644");
  },
});
