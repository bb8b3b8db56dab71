// Ways out of a container that have worked against some runtime once. Each is tried, and nothing may come of it.
// What an attacker has: the container's root file system as he likes it, processes in the container, and parts of config.json.
import { equal, match, ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join } from "node:path";
import type { Bed } from "./harness/bed.js";
import { mountsBelow } from "./harness/bed.js";
import { defaultMounts, type Edit, type Mount, merge, mounts, script } from "./harness/config.js";
import { FdSocket, readTerminal } from "./harness/fd-socket.js";
import { statusField } from "./harness/host.js";
import { section } from "./harness/test.js";

type Prepare = (folders: { readonly bundle: string; readonly rootfs: string }) => void;

/** A directory of the host that no container was given, with a file in it. */
function hostDirectory(t: Bed): string {
  const folder = t.directory("host");
  writeFileSync(join(folder, "secret"), "host secret\n");
  return folder;
}

// Enough to be at the top wherever one begins.
const up = "../../../../../../../../../../../..";

/** Nothing was mounted there, made there or changed there. */
function untouched(folder: string): void {
  equal(mountsBelow(folder).join(), "");
  equal(readdirSync(folder).join(), "secret");
  equal(readFileSync(join(folder, "secret"), "utf8"), "host secret\n");
}

/** The container may be refused; if it runs, the script's output is checked. */
async function triedWith(t: Bed, text: string, edit: Edit, prepare?: Prepare): Promise<string> {
  const container = t.container(merge(script(text), edit), prepare === undefined ? {} : { prepare });
  if ((await container.create()).code !== 0) return "";
  if ((await container.call("start")).code !== 0) return "";
  await container.ended();
  return container.out.trim();
}

function withoutDev(): Mount[] {
  return defaultMounts.filter(({ destination }) => !destination.startsWith("/dev"));
}

function runtimeFile(t: Bed): string {
  if (t.runtime.path.includes("/")) return t.runtime.path;
  const folder = (process.env.PATH ?? "").split(delimiter).find((place) => existsSync(join(place, t.runtime.path)));
  return join(folder ?? "", t.runtime.path);
}

function digest(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

// Opens the program of every process that is not busybox, waits until it has gone, and tries to open it for writing. Opening for
// appending changes nothing, so that a runtime which fails the test is not destroyed.
const writeToPrograms = `
echo ready
while :; do
  for exe in /proc/[0-9]*/exe; do
    case $(readlink $exe 2>/dev/null) in "" | *busybox) continue ;; esac
    ( exec 9<$exe && { while [ -e \${exe%/exe} ]; do :; done; ( : >>/proc/self/fd/9 ) && echo WRITABLE; } ) 2>/dev/null &
  done
done`;

function readThroughProcesses(secret: string): string {
  return `
echo ready
while :; do
  for place in /proc/[0-9]*/fd/* /proc/[0-9]*/cwd /proc/[0-9]*/root; do cat $place/${up}${secret} 2>/dev/null; done
done`;
}

const allCapabilities = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_KILL",
  "CAP_MKNOD",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SYS_ADMIN",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
];
const powerful = {
  process: { capabilities: { bounding: allCapabilities, effective: allCapabilities, permitted: allCapabilities } },
};

export const securityTests = [
  ...section("security: the runtime's program (CVE-2019-5736)", {
    "a process in the container cannot write to it while exec runs": async (t) => {
      const before = digest(runtimeFile(t));
      const prepare: Prepare = ({ rootfs }) => symlinkSync("/proc/self/exe", join(rootfs, "bin/evil"));
      const container = await t.running(
        { ...script(writeToPrograms), ...merge(powerful, script(writeToPrograms)) },
        { prepare },
      );
      for (let time = 0; time < 3; time++) await container.call("exec", [], ["/bin/evil"]);
      for (let time = 0; time < 3; time++) await container.exec("true");
      ok(!container.out.includes("WRITABLE"), container.out);
      equal(digest(runtimeFile(t)), before);
    },
    "a container that runs /proc/self/exe gets its own program or nothing": async (t) => {
      const before = digest(runtimeFile(t));
      const prepare: Prepare = ({ rootfs }) => symlinkSync("/proc/self/exe", join(rootfs, "bin/evil"));
      const container = t.container({ process: { args: ["/bin/evil", "init"] } }, { prepare });
      if ((await container.create()).code === 0) {
        await container.call("start");
        await container.call("delete", ["--force"]);
      }
      equal(digest(runtimeFile(t)), before);
    },
  }),
  ...section("security: file descriptors and directories of the host (CVE-2024-21626, CVE-2016-9962)", {
    "a working directory /proc/self/fd/N does not lead out": async (t) => {
      const host = hostDirectory(t);
      for (const number of [3, 4, 5, 6, 7, 8, 9, 10]) {
        const out = await triedWith(t, `cat ${up}${host}/secret`, { process: { cwd: `/proc/self/fd/${number}` } });
        equal(out, "", `descriptor ${number}`);
      }
    },
    "nor does one of exec": async (t) => {
      const host = hostDirectory(t);
      const container = await t.running();
      for (const number of [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]) {
        const { out } = await container.exec(`cat ${up}${host}/secret`, ["--cwd", `/proc/self/fd/${number}`]);
        equal(out, "", `descriptor ${number}`);
      }
    },
    "nor a symbolic link to one": async (t) => {
      const host = hostDirectory(t);
      const container = await t.running(
        {},
        {
          prepare: ({ rootfs }) => {
            for (const number of [3, 5, 7, 8, 9]) symlinkSync(`/proc/self/fd/${number}`, join(rootfs, `link${number}`));
          },
        },
      );
      for (const number of [3, 5, 7, 8, 9]) {
        equal((await container.exec(`cat ${up}${host}/secret`, ["--cwd", `/link${number}`])).out, "");
      }
    },
    "what the runtime's caller has open does not reach the container": async (t) => {
      const fd = openSync("/", "r");
      t.afterwards(() => closeSync(fd));
      equal(await t.probe("ls /proc/self/fd | tr '\\n' ' '", {}, { inherit: [fd, fd] }), "0 1 2 3");
    },
    "processes in the container see nothing of the host through those of exec": async (t) => {
      const host = hostDirectory(t);
      const container = await t.running(merge(powerful, script(readThroughProcesses(`${host}/secret`))));
      for (let time = 0; time < 6; time++) await container.exec("true");
      ok(!container.out.includes("host secret"), container.out);
    },
    "nor through the first process before it is started": async (t) => {
      const host = hostDirectory(t);
      const one = await t.running(script(readThroughProcesses(`${host}/secret`)));
      const { linux } = merge(
        {},
        {
          linux: {
            namespaces: [
              { type: "pid", path: `/proc/${await one.pid()}/ns/pid` },
              { type: "mount" },
              { type: "ipc" },
              { type: "uts" },
            ],
          },
        },
      );
      const two = await t.created({ linux });
      await two.start();
      ok(!one.out.includes("host secret"), one.out);
    },
  }),
  ...section("security: mount targets through symbolic links (CVE-2021-30465 and its kind)", {
    "a target that is a link to the host": async (t) => {
      const host = hostDirectory(t);
      const edit = mounts({ destination: "/link", type: "tmpfs", source: "tmpfs" });
      await triedWith(t, "true", edit, ({ rootfs }) => symlinkSync(`${up}${host}`, join(rootfs, "link")));
      untouched(host);
    },
    "a link in the middle of the target": async (t) => {
      const host = hostDirectory(t);
      const edit = mounts({ destination: `/link${host}/made`, type: "tmpfs", source: "tmpfs" });
      await triedWith(t, "true", edit, ({ rootfs }) => symlinkSync(up, join(rootfs, "link")));
      untouched(host);
    },
    "an absolute link is one of the container": async (t) => {
      const host = hostDirectory(t);
      const edit = mounts({ destination: "/link/made", type: "tmpfs", source: "tmpfs" });
      const out = await triedWith(t, "grep -c made /proc/mounts", edit, ({ rootfs }) =>
        symlinkSync(host, join(rootfs, "link")),
      );
      untouched(host);
      ok(out === "" || out === "1");
    },
    "a file to be bound over a link to a file of the host that does not exist": async (t) => {
      const host = hostDirectory(t);
      const edit = mounts({ destination: "/link", type: "none", source: t.file("plain"), options: ["bind"] });
      await triedWith(t, "true", edit, ({ rootfs }) => symlinkSync(`${up}${host}/made`, join(rootfs, "link")));
      untouched(host);
    },
    "a link inside of a volume": async (t) => {
      const host = hostDirectory(t);
      const volume = t.directory("volume");
      symlinkSync(`${up}${host}`, join(volume, "link"));
      const edit = mounts(
        { destination: "/vol", type: "none", source: volume, options: ["bind"] },
        { destination: "/vol/link/made", type: "tmpfs", source: "tmpfs" },
      );
      await triedWith(t, "true", edit);
      untouched(host);
    },
    "targets with .. stay inside": async (t) => {
      const host = hostDirectory(t);
      for (const destination of [`/${up}${host}/made`, `${up}${host}/made`, `/tmp/${up}${host}/made`]) {
        await triedWith(t, "true", mounts({ destination, type: "tmpfs", source: "tmpfs" }));
        untouched(host);
      }
    },
    "devices through a link": async (t) => {
      const host = hostDirectory(t);
      const devices = [{ path: "/link/made", type: "c", major: 1, minor: 3 }];
      await triedWith(t, "true", { linux: { devices } }, ({ rootfs }) =>
        symlinkSync(`${up}${host}`, join(rootfs, "link")),
      );
      untouched(host);
    },
    "devices with ..": async (t) => {
      const host = hostDirectory(t);
      await triedWith(t, "true", {
        linux: { devices: [{ path: `/dev/${up}${host}/made`, type: "c", major: 1, minor: 3 }] },
      });
      untouched(host);
    },
    "a working directory that is to be made through a link": async (t) => {
      const host = hostDirectory(t);
      await triedWith(t, "true", { process: { cwd: "/link/made" } }, ({ rootfs }) =>
        symlinkSync(`${up}${host}`, join(rootfs, "link")),
      );
      untouched(host);
    },
    "a /dev that is a link to the host": async (t) => {
      const host = hostDirectory(t);
      await triedWith(t, "true", {}, ({ rootfs }) => {
        rmSync(join(rootfs, "dev"), { recursive: true });
        symlinkSync(`${up}${host}`, join(rootfs, "dev"));
      });
      untouched(host);
    },
    "tmpcopyup from a link to the host": async (t) => {
      const host = hostDirectory(t);
      const edit = mounts({ destination: "/link", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] });
      const out = await triedWith(t, "find / -name secret 2>/dev/null", edit, ({ rootfs }) =>
        symlinkSync(`${up}${host}`, join(rootfs, "link")),
      );
      equal(out, "");
      untouched(host);
    },
    "a root that is a link to the host's gives nothing that was not asked for": async (t) => {
      const host = hostDirectory(t);
      const container = t.container(
        { root: { path: "link" } },
        { prepare: ({ bundle }) => symlinkSync(host, join(bundle, "link")) },
      );
      if ((await container.create()).code === 0) await container.must("delete", ["--force"]);
      equal(readFileSync(join(host, "secret"), "utf8"), "host secret\n");
    },
  }),
  ...section("security: masks (CVE-2025-31133)", {
    "a /dev/null that is a link to a file does not unmask": async (t) => {
      const edit = { mounts: withoutDev(), linux: { maskedPaths: ["/etc/secret"] } };
      const text = "cat /etc/secret; (echo changed >/etc/secret) 2>/dev/null; cat /etc/target";
      const out = await triedWith(t, text, edit, ({ rootfs }) => {
        writeFileSync(join(rootfs, "etc/secret"), "secret\n");
        writeFileSync(join(rootfs, "etc/target"), "target\n");
        symlinkSync("/etc/target", join(rootfs, "dev/null"));
      });
      ok(out === "" || out === "target", out);
    },
    "a /dev/null that is a file does not unmask": async (t) => {
      const edit = { mounts: withoutDev(), linux: { maskedPaths: ["/etc/secret"] } };
      const out = await triedWith(t, "cat /etc/secret", edit, ({ rootfs }) => {
        writeFileSync(join(rootfs, "etc/secret"), "secret\n");
        writeFileSync(join(rootfs, "dev/null"), "not null\n");
      });
      equal(out, "");
    },
    "a /dev/null that is a link into /proc does not make that writable": async (t) => {
      const before = readFileSync("/proc/sys/kernel/core_pattern", "utf8");
      const edit = { mounts: withoutDev(), linux: { maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"] } };
      const text = "(echo changed >/proc/kcore) 2>/dev/null; (echo changed >/dev/null) 2>/dev/null; true";
      await triedWith(t, text, edit, ({ rootfs }) =>
        symlinkSync("/proc/sys/kernel/core_pattern", join(rootfs, "dev/null")),
      );
      equal(readFileSync("/proc/sys/kernel/core_pattern", "utf8"), before);
    },
    "a mask behind a link to the host does not reach it": async (t) => {
      const host = hostDirectory(t);
      await triedWith(t, "true", { linux: { maskedPaths: ["/link/secret"], readonlyPaths: ["/link"] } }, ({ rootfs }) =>
        symlinkSync(`${up}${host}`, join(rootfs, "link")),
      );
      untouched(host);
    },
    "a mask cannot be taken away by a process of the container": async (t) => {
      const edit = { linux: { maskedPaths: ["/etc/secret"] } };
      const text =
        "umount /etc/secret 2>/dev/null; mv /etc/secret /etc/other 2>/dev/null; cat /etc/secret /etc/other 2>/dev/null; echo end";
      equal(
        await t.probe(text, edit, { prepare: ({ rootfs }) => writeFileSync(join(rootfs, "etc/secret"), "secret\n") }),
        "end",
      );
    },
  }),
  ...section("security: the console (CVE-2025-52565)", {
    "a /dev/console that is a link is not followed out of /dev": async (t) => {
      const socket = await FdSocket.listen(t);
      const edit = merge(script("cat /etc/target; grep -c target /proc/mounts"), {
        mounts: withoutDev(),
        process: { terminal: true },
      });
      const container = t.container(edit, {
        prepare: ({ rootfs }) => {
          writeFileSync(join(rootfs, "etc/target"), "target\n");
          symlinkSync("/etc/target", join(rootfs, "dev/console"));
        },
      });
      if ((await container.create({ arguments: ["--console-socket", socket.path] })).code !== 0) return;
      const { fds } = await socket.received();
      const read = readTerminal(fds[0] ?? -1);
      await container.start();
      match(await read, /^target\r\n0\r\n$/);
    },
    "a /dev/pts of the image is not where terminals come from": async (t) => {
      const host = hostDirectory(t);
      const socket = await FdSocket.listen(t);
      const edit = merge(script("true"), { mounts: withoutDev(), process: { terminal: true } });
      const container = t.container(edit, {
        prepare: ({ rootfs }) => {
          symlinkSync(`${up}${host}`, join(rootfs, "dev/pts"));
          symlinkSync(`${up}${host}/made`, join(rootfs, "dev/ptmx"));
        },
      });
      await container.create({ arguments: ["--console-socket", socket.path] });
      untouched(host);
    },
  }),
  ...section("security: what the runtime writes to /proc (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881)", {
    "a directory bound over /proc is refused": async (t) => {
      const fake = t.directory("fake");
      await t.refused({
        mounts: [...defaultMounts, { destination: "/proc", type: "none", source: fake, options: ["bind"] }],
      });
    },
    "a tmpfs over /proc is refused": async (t) => {
      await t.refused(mounts({ destination: "/proc", type: "tmpfs", source: "tmpfs" }));
    },
    "a mount in /proc is refused": async (t) => {
      const fake = t.directory("fake");
      for (const destination of ["/proc/self/attr", "/proc/sys", "/proc/1", "/proc/sys/net"]) {
        await t.refused(mounts({ destination, type: "none", source: fake, options: ["bind"] }));
      }
    },
    "a mount in /proc through a link is refused, or is elsewhere": async (t) => {
      const fake = t.directory("fake");
      t.file("fake/marker");
      const edit = mounts({ destination: "/link/sys", type: "none", source: fake, options: ["bind"] });
      const out = await triedWith(t, "ls /proc/sys", edit, ({ rootfs }) => symlinkSync("/proc", join(rootfs, "link")));
      ok(!out.includes("marker"), out);
    },
    "a /proc that is a link is refused": async (t) => {
      await t.refused(
        {},
        {
          prepare: ({ rootfs }) => {
            rmSync(join(rootfs, "proc"), { recursive: true });
            symlinkSync("/etc", join(rootfs, "proc"));
          },
        },
      );
    },
    "a /sys that is a link is refused": async (t) => {
      await t.refused(
        {},
        {
          prepare: ({ rootfs }) => {
            rmSync(join(rootfs, "sys"), { recursive: true });
            symlinkSync("/etc", join(rootfs, "sys"));
          },
        },
      );
    },
    "sysctls are not written to a tree that looks like /proc": async (t) => {
      const edit = {
        mounts: defaultMounts.filter(({ destination }) => destination !== "/proc"),
        linux: { sysctl: { "net.core.somaxconn": "77" } },
      };
      const container = t.container(edit, {
        prepare: ({ rootfs }) => {
          mkdirSync(join(rootfs, "proc/sys/net/core"), { recursive: true });
          writeFileSync(join(rootfs, "proc/sys/net/core/somaxconn"), "fake\n");
        },
      });
      const { code } = await container.create();
      equal(readFileSync(container.inRootfs("proc/sys/net/core/somaxconn"), "utf8"), "fake\n");
      if (code !== 0) return;
      const value = await t.host(
        "nsenter",
        "--target",
        `${await container.pid()}`,
        "--net",
        "cat",
        "/proc/sys/net/core/somaxconn",
      );
      equal(value.trim(), "77");
    },
    "oomScoreAdj is not written to a tree that looks like /proc": async (t) => {
      const edit = {
        mounts: defaultMounts.filter(({ destination }) => destination !== "/proc"),
        process: { oomScoreAdj: 300 },
      };
      const container = t.container(edit, {
        prepare: ({ rootfs }) => {
          mkdirSync(join(rootfs, "proc/self"), { recursive: true });
          writeFileSync(join(rootfs, "proc/self/oom_score_adj"), "fake\n");
        },
      });
      const { code } = await container.create();
      equal(readFileSync(container.inRootfs("proc/self/oom_score_adj"), "utf8"), "fake\n");
      if (code === 0) equal(readFileSync(`/proc/${await container.pid()}/oom_score_adj`, "utf8"), "300\n");
    },
    "exec with a /proc that was replaced writes nothing there": async (t) => {
      const text = `umount -l /proc && mkdir -p /proc/self/attr /proc/self/fd /proc/thread-self/attr && for f in self/attr/exec self/oom_score_adj self/setgroups self/loginuid thread-self/attr/exec; do echo fake >/proc/$f; done; echo ready; exec sleep 1000`;
      const container = await t.running(merge(powerful, script(text)));
      await container.exec("true");
      for (const file of ["self/attr/exec", "self/oom_score_adj", "self/setgroups", "thread-self/attr/exec"]) {
        equal(readFileSync(container.inRootfs(`proc/${file}`), "utf8"), "fake\n", file);
      }
    },
    "exec with a /proc that is a link writes nothing behind it": async (t) => {
      const text =
        "umount -l /proc && rmdir /proc && mkdir -p /fake/self/attr && ln -s /fake /proc && echo fake >/fake/self/attr/exec && echo fake >/fake/self/oom_score_adj; echo ready; exec sleep 1000";
      const container = await t.running(merge(powerful, script(text)));
      await container.exec("true");
      for (const file of ["self/attr/exec", "self/oom_score_adj"]) {
        equal(readFileSync(container.inRootfs(`fake/${file}`), "utf8"), "fake\n", file);
      }
    },
  }),
  ...section("security: privileges", {
    "exec has no inheritable capabilities (CVE-2022-29162)": async (t) => {
      const container = await t.running();
      const { out } = await container.exec("cat /proc/self/status", ["--cap", "CAP_SYS_CHROOT"]);
      equal(statusField(out, "CapInh"), "0000000000000000");
    },
    "nor has the container's process, if none are configured (CVE-2022-24769)": async (t) => {
      equal(statusField(await t.probe("cat /proc/self/status"), "CapInh"), "0000000000000000");
    },
    "the keys of the caller's session are not the container's": async (t) => {
      // Every runtime gives the container's new session keyring a name that tells whose it is (session-keyring(7)).
      const { id } = await t.created();
      match(await t.host("cat", "/proc/keys"), new RegExp(`keyring +\\S*${id}: `));
    },
    "a process in the container cannot signal or trace what is outside": async (t) => {
      equal(
        await t.probe(
          `kill -0 ${process.pid} 2>/dev/null && echo reached; ls -d /proc/${process.pid} 2>/dev/null; echo end`,
        ),
        "end",
      );
    },
    "the container's root cannot be left by chroot": async (t) => {
      const host = hostDirectory(t);
      const text = `mkdir /tmp/jail; cat >/tmp/try <<'X'\ncd ${up}; cat .${host}/secret\nX\nchroot . sh /tmp/try 2>/dev/null; cat ${up}${host}/secret 2>/dev/null; echo end`;
      equal(await t.probe(text), "end");
    },
  }),
];
