// Namespaces: new, joined, inherited, refused.
import { equal, notEqual, ok } from "node:assert/strict";
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { eventually, startCommand } from "../support/command.js";
import type { Bed } from "./harness/bed.js";
import { merge, namespaces, script } from "./harness/config.js";
import { needFile } from "./harness/host.js";
import { type Body, section } from "./harness/test.js";

// The name in config.json, in /proc/PID/ns, and unshare(1)'s option.
const kinds = {
  pid: { file: "pid", option: "--pid" },
  network: { file: "net", option: "--net" },
  ipc: { file: "ipc", option: "--ipc" },
  uts: { file: "uts", option: "--uts" },
  mount: { file: "mnt", option: "--mount" },
  cgroup: { file: "cgroup", option: "--cgroup" },
  time: { file: "time", option: "--time" },
} as const;
type Kind = keyof typeof kinds;
const all = Object.keys(kinds) as Kind[];

function namespaceOf(pid: number | "self", kind: Kind): string {
  needFile(`/proc/self/ns/${kinds[kind].file}`);
  return readlinkSync(`/proc/${pid}/ns/${kinds[kind].file}`);
}

/** A mount namespace cannot always be kept by a file: mount(2), EINVAL where that could make a circle. */
async function heldByProcess(t: Bed): Promise<string> {
  const { child } = startCommand(["unshare", "--mount", "sleep", "1000"]);
  t.afterwards(() => child.kill("SIGKILL"));
  const path = `/proc/${child.pid}/ns/mnt`;
  await eventually("a mount namespace", () =>
    readlinkSync(path) !== readlinkSync("/proc/self/ns/mnt") ? true : undefined,
  );
  return path;
}

/** A file that holds a new namespace of the kind, without any process. */
async function held(t: Bed, kind: Kind): Promise<string> {
  if (kind === "mount") return heldByProcess(t);
  const file = t.file(`held-${kind}`);
  await t.host("unshare", `${kinds[kind].option}=${file}`, "true");
  t.afterwards(() => t.host("umount", file));
  return file;
}

function fresh(kind: Kind): Body {
  return async (t) => {
    const container = await t.running(namespaces({ with: [{ type: kind }] }));
    notEqual(namespaceOf(await container.pid(), kind), namespaceOf("self", kind));
  };
}

function inherited(kind: Kind): Body {
  return async (t) => {
    const edit = { ...namespaces({ without: [kind] }), hostname: undefined };
    if (kind !== "mount") {
      const container = await t.running(edit);
      equal(namespaceOf(await container.pid(), kind), namespaceOf("self", kind));
      return;
    }
    // Without a mount namespace it would all be mounted on the host; some runtimes cannot do without /proc.
    const container = t.container(merge(script("echo ready; exec sleep 1000"), { ...edit, mounts: [] }));
    await t.host("mount", "-t", "proc", "proc", container.inRootfs("proc"));
    await container.mustCreate();
    await container.start();
    await container.said("ready");
    equal(namespaceOf(await container.pid(), kind), namespaceOf("self", kind));
  };
}

function joined(kind: Kind): Body {
  return async (t) => {
    let path: string;
    if (kind === "pid") {
      // A pid namespace takes nobody in once its first process has gone.
      path = `/proc/${await (await t.running()).pid()}/ns/pid`;
    } else path = await held(t, kind);
    const edit = kind === "uts" ? { hostname: undefined } : {};
    const container = await t.running({ ...namespaces({ with: [{ type: kind, path }] }), ...edit });
    const inode = /\[(\d+)\]/.exec(namespaceOf(await container.pid(), kind))?.[1];
    equal(inode, `${statSync(path).ino}`);
  };
}

const offsets = { monotonic: { secs: 1_000_000, nanosecs: 500 }, boottime: { secs: 2_000_000, nanosecs: 0 } };

export const namespaceTests = [
  ...section(
    "config-linux.md#namespaces",
    Object.fromEntries(
      all.flatMap((kind) => [
        [`${kind}: without a path a new one is made`, fresh(kind)],
        [`${kind}: not in the list, it is the runtime's`, inherited(kind)],
        [`${kind}: with a path that one is joined`, joined(kind)],
      ]),
    ),
  ),
  ...section("config-linux.md#namespaces", {
    "the process is number 1 of a new pid namespace": async (t) => {
      equal(await t.probe("echo $$"), "1");
    },
    "a new network namespace has a loopback device and no other": async (t) => {
      equal(await t.probe("ls /sys/class/net"), "lo");
    },
    "a new cgroup namespace begins at the container's cgroup": async (t) => {
      const out = await t.probe("cut -d: -f3 /proc/self/cgroup | sort -u", namespaces({ with: [{ type: "cgroup" }] }));
      ok(out.split("\n").includes("/"));
      ok(!out.includes(t.group), out);
    },
    "exec puts a process into all of them": async (t) => {
      const container = await t.running(namespaces({ with: [{ type: "cgroup" }] }));
      const { out } = await container.exec(
        "cd /proc; for n in pid net ipc uts mnt cgroup; do readlink self/ns/$n; readlink 1/ns/$n; done",
      );
      const links = out.trim().split("\n");
      equal(links.length, 12);
      for (let at = 0; at < 12; at += 2) equal(links[at], links[at + 1]);
    },
    "the same type twice is refused": async (t) => {
      await t.refused({
        linux: { namespaces: [{ type: "pid" }, { type: "mount" }, { type: "uts" }, { type: "pid" }] },
      });
    },
    "a path of another type is refused": async (t) => {
      const path = await held(t, "ipc");
      await t.refused(namespaces({ with: [{ type: "network", path }] }));
    },
    "a path that does not exist is refused": async (t) => {
      await t.refused(namespaces({ with: [{ type: "network", path: `${t.folder}/nothing` }] }));
    },
    "a path that is no namespace is refused": async (t) => {
      await t.refused(namespaces({ with: [{ type: "network", path: t.file("plain") }] }));
    },
    "a relative path is refused": async (t) => {
      await held(t, "network");
      await t.refused(namespaces({ with: [{ type: "network", path: "held-network" }] }), { cwd: t.folder });
    },
    "an unknown type is refused": async (t) => {
      await t.refused(namespaces({ with: [{ type: "no-such-namespace" }] }));
    },
    "an entry without a type is refused": async (t) => {
      await t.refused(namespaces({ with: [{}] }));
    },
    "two containers share a network": async (t) => {
      const one = await t.running();
      await one.must("exec", [], ["ip", "link", "set", "lo", "up"]).catch(() => undefined);
      const path = `/proc/${await one.pid()}/ns/net`;
      const two = await t.running(namespaces({ with: [{ type: "network", path }] }));
      equal(readlinkSync(`/proc/${await two.pid()}/ns/net`), readlinkSync(path));
    },
    "changes of the container's ipc namespace are not the host's": async (t) => {
      const before = readFileSync("/proc/sys/kernel/msgmax", "utf8");
      const container = await t.running({ linux: { sysctl: { "kernel.msgmax": "12345" } } });
      equal((await container.exec("cat /proc/sys/kernel/msgmax")).out, "12345\n");
      equal(readFileSync("/proc/sys/kernel/msgmax", "utf8"), before);
    },
  }),
  ...section("config-linux.md#offset-for-time-namespace", {
    "boottime and monotonic are shifted": async (t) => {
      needFile("/proc/self/ns/time");
      const edit = { linux: { ...(namespaces({ with: [{ type: "time" }] }).linux as object), timeOffsets: offsets } };
      const [uptime = "", shifts = ""] = (
        await t.probe("cat /proc/uptime; cat /proc/self/timens_offsets | tr -s ' \\n' ' '", edit)
      ).split("\n");
      ok(Number(uptime.split(" ")[0]) >= 2_000_000, uptime);
      equal(shifts.trim(), "monotonic 1000000 500 boottime 2000000 0");
    },
    "a process of exec has the same clocks": async (t) => {
      needFile("/proc/self/ns/time");
      const edit = { linux: { ...(namespaces({ with: [{ type: "time" }] }).linux as object), timeOffsets: offsets } };
      const container = await t.running(edit);
      ok(Number((await container.exec("cut -d' ' -f1 /proc/uptime")).out) >= 2_000_000);
    },
    "offsets without a time namespace are refused": async (t) => {
      await t.refused({ linux: { timeOffsets: offsets } });
    },
    "an unknown clock is refused": async (t) => {
      needFile("/proc/self/ns/time");
      const linux = {
        ...(namespaces({ with: [{ type: "time" }] }).linux as object),
        timeOffsets: { realtime: { secs: 1 } },
      };
      await t.refused({ linux });
    },
  }),
  ...section("config-linux.md#network-devices", {
    "a device of the runtime's network is moved, renamed and up": async (t) => {
      const name = `vc${process.pid % 100000}`;
      await t.host("ip", "link", "add", name, "type", "dummy").catch((error: Error) => {
        if (/Unknown device type|not supported/.test(error.message)) needFile("/sys/module/dummy");
        throw error;
      });
      t.afterwards(() => t.host("ip", "link", "del", name).catch(() => undefined));
      const out = await t.probe("ls /sys/class/net; cat /sys/class/net/inside/flags", {
        linux: { netDevices: { [name]: { name: "inside" } } },
      });
      const lines = out.split("\n");
      ok(lines.includes("inside"));
      ok((Number(lines.at(-1)) & 1) === 1, "the device is not up");
    },
    "a device that does not exist is refused": async (t) => {
      await t.refused({ linux: { netDevices: { "no-such-device": {} } } });
    },
    // runc 1.3 does not know netDevices, crun moves the device to where it is.
    "without a network namespace of its own it is refused": async (t) => {
      await t.refused({
        linux: { ...(namespaces({ without: ["network"] }).linux as object), netDevices: { lo: {} } },
      });
    },
  }),
  ...section("config.md#hostname", {
    "it is the host name of the container": async (t) => {
      equal(await t.probe("hostname"), "conformance");
    },
    "the host's own does not change": async (t) => {
      const before = readFileSync("/proc/sys/kernel/hostname", "utf8");
      await t.running();
      equal(readFileSync("/proc/sys/kernel/hostname", "utf8"), before);
    },
    "without a uts namespace it is refused": async (t) => {
      await t.refused(namespaces({ without: ["uts"] }));
    },
    "without hostname the new namespace has the host's": async (t) => {
      const before = readFileSync("/proc/sys/kernel/hostname", "utf8").trim();
      equal(await t.probe("hostname", { hostname: undefined }), before);
    },
  }),
  ...section("config.md#domainname", {
    "it is the domain name of the container": async (t) => {
      equal(await t.probe("cat /proc/sys/kernel/domainname", { domainname: "example.org" }), "example.org");
    },
    "without a uts namespace it is refused": async (t) => {
      await t.refused({ ...namespaces({ without: ["uts"] }), hostname: undefined, domainname: "example.org" });
    },
  }),
  ...section("config-linux.md#namespaces", {
    "the program of a joined pid namespace is a process there": async (t) => {
      const one = await t.running();
      const path = `/proc/${await one.pid()}/ns/pid`;
      const two = await t.running({
        ...namespaces({ with: [{ type: "pid", path }] }),
        ...script("echo ready $$; exec sleep 1000"),
      });
      notEqual(two.out, "ready 1\n");
    },
  }),
];
