// Mounts and the root file system.
import { equal, match, notEqual, ok } from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bed, mountsBelow } from "./harness/bed.js";
import { defaultMounts, type Edit, type Mount, mounts, namespaces } from "./harness/config.js";
import { cgroupVersion, needCgroup } from "./harness/host.js";
import { section } from "./harness/test.js";

/** A directory of the host with a file in it. */
function source(t: Bed, name = "source"): string {
  const folder = t.directory(name);
  writeFileSync(join(folder, "file"), "content\n");
  return folder;
}

function bind(from: string, destination: string, ...options: string[]): Mount {
  return { destination, type: "none", source: from, options: ["bind", ...options] };
}

/** The options that the kernel shows for the last mount at a place. */
async function optionsAt(t: Bed, place: string, edit: Edit): Promise<string[]> {
  const line = await t.probe(`grep ' ${place} ' /proc/mounts | tail -n 1`, edit);
  return (line.split(" ")[3] ?? "").split(",");
}

function tmpfs(...options: string[]): Edit {
  return mounts({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options });
}

/** What the field of /proc/self/mountinfo says about peers: "shared:1", "master:1", "unbindable", or nothing. */
async function propagationAt(t: Bed, place: string, edit: Edit): Promise<string> {
  const line = await t.probe(`awk '$5 == "${place}"' /proc/self/mountinfo | tail -n 1`, edit);
  notEqual(line, "", `nothing is mounted at ${place}`);
  return line.split(" - ")[0]?.split(" ").slice(6).join(" ") ?? "";
}

// Option, and what the kernel then shows.
const shown: readonly (readonly [string, string])[] = [
  ["ro", "ro"],
  ["rw", "rw"],
  ["nosuid", "nosuid"],
  ["nodev", "nodev"],
  ["noexec", "noexec"],
  ["sync", "sync"],
  ["dirsync", "dirsync"],
  ["noatime", "noatime"],
  ["nodiratime", "nodiratime"],
  ["relatime", "relatime"],
  ["lazytime", "lazytime"],
];

// Option that takes back the one before it, and what the kernel then must not show.
const taken: readonly (readonly [string, string])[] = [
  ["ro", "rw"],
  ["nosuid", "suid"],
  ["nodev", "dev"],
  ["noexec", "exec"],
  ["sync", "async"],
  ["noatime", "atime"],
  ["nodiratime", "diratime"],
  ["lazytime", "nolazytime"],
];

const propagations: readonly (readonly [string, RegExp])[] = [
  ["shared", /^shared:\d+$/],
  ["rshared", /^shared:\d+$/],
  ["private", /^$/],
  ["rprivate", /^$/],
  ["unbindable", /^unbindable$/],
  ["runbindable", /^unbindable$/],
  ["slave", /^(master:\d+)?$/],
  ["rslave", /^(master:\d+)?$/],
];

export const mountTests = [
  ...section("config.md#mounts", {
    ...Object.fromEntries(
      shown.map(([option, text]) => [
        `option ${option} is in force`,
        async (t: Bed) => {
          const options = await optionsAt(t, "/tmp", tmpfs(option));
          ok(options.includes(text), options.join());
        },
      ]),
    ),
    ...Object.fromEntries(
      taken.map(([option, opposite]) => [
        `option ${opposite} takes ${option} back`,
        async (t: Bed) => {
          const options = await optionsAt(t, "/tmp", tmpfs(option, opposite));
          ok(!options.includes(option), options.join());
        },
      ]),
    ),
    "options strictatime and norelatime: neither noatime nor relatime": async (t) => {
      for (const option of ["strictatime"]) {
        const options = await optionsAt(t, "/tmp", tmpfs(option));
        ok(!options.includes("noatime") && !options.includes("relatime"), options.join());
      }
    },
    ...Object.fromEntries(
      ["defaults", "iversion", "noiversion", "loud", "silent", "nostrictatime", "norelatime"].map((option) => [
        `option ${option} is recognized`,
        async (t: Bed) => equal(await t.probe("echo ran", tmpfs(option)), "ran"),
      ]),
    ),
    ...Object.fromEntries(
      propagations.map(([option, pattern]) => [
        `option ${option} is the mount's propagation`,
        async (t: Bed) => {
          match(await propagationAt(t, "/tmp", mounts(bind(source(t), "/tmp", option))), pattern);
        },
      ]),
    ),
    "entries are mounted in the listed order": async (t) => {
      const one = source(t, "one");
      mkdirSync(join(one, "inner"));
      const edit = mounts(bind(one, "/tmp"), {
        destination: "/tmp/inner",
        type: "tmpfs",
        source: "tmpfs",
        options: ["size=1m"],
      });
      equal(await t.probe("grep -c ' /tmp' /proc/mounts; touch /tmp/inner/new; ls /tmp", edit), "2\nfile\ninner");
      ok(!existsSync(join(one, "inner/new")));
    },
    "the later of two at one place lies above": async (t) => {
      const two = source(t, "two");
      writeFileSync(join(two, "file"), "second\n");
      equal(await t.probe("cat /tmp/file", mounts(bind(source(t, "one"), "/tmp"), bind(two, "/tmp"))), "second");
    },
    "a directory is bound": async (t) => {
      const from = source(t);
      equal(await t.probe("cat /tmp/file; echo new >/tmp/new", mounts(bind(from, "/tmp"))), "content");
      equal(readFileSync(join(from, "new"), "utf8"), "new\n");
    },
    "a file is bound": async (t) => {
      equal(await t.probe("cat /etc/bound", mounts(bind(join(source(t), "file"), "/etc/bound"))), "content");
    },
    "a destination that does not exist is made": async (t) => {
      equal(await t.probe("cat /new/place/file", mounts(bind(source(t), "/new/place"))), "content");
    },
    "a source that does not exist is refused": async (t) => {
      await t.refused(mounts(bind(join(t.folder, "nothing"), "/tmp")));
    },
    "a relative source is relative to the bundle": async (t) => {
      const edit = mounts(bind("beside", "/tmp"));
      const prepare = ({ bundle }: { bundle: string }) => {
        mkdirSync(join(bundle, "beside"));
        writeFileSync(join(bundle, "beside/file"), "beside\n");
      };
      equal(await t.probe("cat /tmp/file", edit, { prepare }), "beside");
    },
    "a relative destination is relative to the root": async (t) => {
      equal(await t.probe("cat /tmp/file", mounts(bind(source(t), "tmp"))), "content");
    },
    "a missing destination is refused": async (t) => {
      await t.refused({ mounts: [...defaultMounts, { type: "tmpfs", source: "tmpfs" }] });
    },
    "an unknown file system is refused": async (t) => {
      await t.refused(mounts({ destination: "/tmp", type: "no-such-file-system", source: "none" }));
    },
    "an unknown option goes to the file system, which refuses it": async (t) => {
      await t.refused(tmpfs("no-such-option=1"));
    },
    "bind is recursive as rbind and only as rbind": async (t) => {
      const from = source(t);
      const inner = join(from, "inner");
      mkdirSync(inner);
      await t.host("mount", "-t", "tmpfs", "tmpfs", inner);
      writeFileSync(join(inner, "deep"), "deep\n");
      equal(await t.probe("ls /tmp/inner", mounts(bind(from, "/tmp"))), "");
      const recursive = { ...bind(from, "/tmp"), options: ["rbind"] };
      equal(await t.probe("ls /tmp/inner", mounts(recursive)), "deep");
    },
    "a read-only bind mount leaves its source writable": async (t) => {
      const from = source(t);
      equal(await t.probe("echo x >/tmp/file || echo refused", mounts(bind(from, "/tmp", "ro"))), "refused");
      writeFileSync(join(from, "file"), "changed\n");
    },
    "flags of a bind mount are in force": async (t) => {
      const options = await optionsAt(
        t,
        "/tmp",
        mounts(bind(source(t), "/tmp", "nosuid", "nodev", "noexec", "noatime")),
      );
      for (const option of ["nosuid", "nodev", "noexec", "noatime"]) ok(options.includes(option), options.join());
    },
    "rro: read-only with everything below": async (t) => {
      const from = source(t);
      const inner = join(from, "inner");
      mkdirSync(inner);
      await t.host("mount", "-t", "tmpfs", "tmpfs", inner);
      const edit = mounts({ ...bind(from, "/tmp"), options: ["rbind", "rro"] });
      equal(
        await t.probe("touch /tmp/x || echo refused; touch /tmp/inner/x || echo refused", edit),
        "refused\nrefused",
      );
    },
    "rnosuid, rnodev, rnoexec: with everything below": async (t) => {
      const from = source(t);
      const inner = join(from, "inner");
      mkdirSync(inner);
      await t.host("mount", "-t", "tmpfs", "tmpfs", inner);
      const edit = mounts({ ...bind(from, "/tmp"), options: ["rbind", "rnosuid", "rnodev", "rnoexec"] });
      const options = await optionsAt(t, "/tmp/inner", edit);
      for (const option of ["nosuid", "nodev", "noexec"]) ok(options.includes(option), options.join());
    },
    "tmpfs: size, mode, uid and gid": async (t) => {
      const edit = tmpfs("size=1m", "mode=1750", "uid=1000", "gid=2000");
      equal(
        await t.probe("stat -c '%a %u %g' /tmp; df -k /tmp | tail -n 1 | awk '{print $2}'", edit),
        "1750 1000 2000\n1024",
      );
    },
    "tmpcopyup: what was there is in the new file system": async (t) => {
      const prepare = ({ rootfs }: { rootfs: string }) => {
        mkdirSync(join(rootfs, "data/sub"), { recursive: true });
        writeFileSync(join(rootfs, "data/sub/file"), "copied\n");
      };
      const edit = mounts({ destination: "/data", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] });
      const container = await t.running(edit, { prepare });
      equal(
        (await container.exec("cat /data/sub/file; echo changed >/data/sub/file; grep -c ' /data ' /proc/mounts")).out,
        "copied\n1\n",
      );
      equal(readFileSync(container.inRootfs("data/sub/file"), "utf8"), "copied\n");
    },
    "idmap: ids are mapped as the mount says": async (t) => {
      const from = source(t);
      const map = [{ containerID: 0, hostID: 5000, size: 1000 }];
      const edit = mounts({ ...bind(from, "/tmp", "idmap"), uidMappings: map, gidMappings: map });
      equal(await t.probe("stat -c '%u %g' /tmp/file", edit), "5000 5000");
    },
    "uidMappings without gidMappings are refused": async (t) => {
      const uidMappings = [{ containerID: 0, hostID: 5000, size: 1000 }];
      await t.refused(mounts({ ...bind(source(t), "/tmp", "idmap"), uidMappings }));
    },
    "a shared mount of the host is not changed by a private one of the container": async (t) => {
      const from = source(t);
      await t.host("mount", "--bind", from, from);
      await t.host("mount", "--make-shared", from);
      await t.running(mounts(bind(from, "/tmp", "rprivate")));
      match(await t.host("sh", "-c", `grep ' ${from} ' /proc/self/mountinfo`), / shared:/);
    },
    "rslave: what the host mounts later appears": async (t) => {
      const from = source(t);
      await t.host("mount", "--bind", from, from);
      await t.host("mount", "--make-shared", from);
      mkdirSync(join(from, "later"));
      const container = await t.running(mounts({ ...bind(from, "/tmp"), options: ["rbind", "rslave"] }));
      await t.host("mount", "-t", "tmpfs", "tmpfs", join(from, "later"));
      writeFileSync(join(from, "later/seen"), "");
      equal((await container.exec("ls /tmp/later")).out, "seen\n");
    },
    "mounts of the container do not appear on the host": async (t) => {
      const container = await t.running(tmpfs("size=1m"));
      equal(mountsBelow(container.bundle).join(), "");
    },
    "no mount of the host is visible": async (t) => {
      const places = (await t.probe("cut -d' ' -f5 /proc/self/mountinfo")).split("\n");
      for (const place of places) ok(/^\/($|proc|dev|sys)/.test(place), place);
    },
  }),
  ...section("config-linux.md#default-filesystems", {
    "/proc is the container's": async (t) => {
      equal(await t.probe("ls /proc | grep -c '^[0-9]*$'"), "3");
    },
    "/sys": async (t) => {
      equal(await t.probe("test -d /sys/class && echo there"), "there");
    },
    "/dev/pts: a terminal can be opened": async (t) => {
      equal(await t.probe("ls -A /dev/pts; true <>/dev/ptmx && echo opened"), "ptmx\nopened");
    },
    "/dev/shm is a tmpfs for everybody": async (t) => {
      equal(await t.probe("grep -c ' /dev/shm tmpfs ' /proc/mounts; stat -c %a /dev/shm"), "1\n1777");
    },
    mqueue: async (t) => {
      const edit = mounts({
        destination: "/dev/mqueue",
        type: "mqueue",
        source: "mqueue",
        options: ["nosuid", "noexec", "nodev"],
      });
      equal(await t.probe("grep -c ' /dev/mqueue mqueue ' /proc/mounts", edit), "1");
    },
    "cgroup on version 1: a directory for each controller, at the container's own cgroup": async (t) => {
      needCgroup(1);
      const edit = mounts({
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
      });
      const container = await t.running({ ...edit, linux: { resources: { pids: { limit: 77 } } } });
      const { out } = await container.exec(
        "cat /sys/fs/cgroup/pids/pids.max; cat /sys/fs/cgroup/memory/cgroup.procs | head -n 1",
      );
      equal(out, "77\n1\n");
    },
    "cgroup read-only: it cannot be written": async (t) => {
      const edit = mounts({
        destination: "/sys/fs/cgroup",
        type: "cgroup",
        source: "cgroup",
        options: ["nosuid", "noexec", "nodev", "relatime", "ro"],
      });
      const folder = cgroupVersion === 1 ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup";
      equal(await t.probe(`mkdir ${folder}/mine || echo refused`, edit), "refused");
    },
    "cgroup on version 2 with a cgroup namespace: the container's own": async (t) => {
      needCgroup(2);
      const edit = {
        ...mounts({
          destination: "/sys/fs/cgroup",
          type: "cgroup",
          source: "cgroup",
          options: ["nosuid", "noexec", "nodev"],
        }),
        linux: { ...(namespaces({ with: [{ type: "cgroup" }] }).linux as object), resources: { pids: { limit: 77 } } },
      };
      equal(await t.probe("cat /sys/fs/cgroup/pids.max", edit), "77");
    },
  }),
];

export const rootTests = [
  ...section("config.md#root", {
    "a relative path is relative to the bundle": async (t) => {
      equal(
        await t.probe(
          "cat /etc/hostid",
          {},
          { prepare: ({ rootfs }) => writeFileSync(join(rootfs, "etc/hostid"), "here\n") },
        ),
        "here",
      );
    },
    "an absolute path": async (t) => {
      const container = t.container();
      const absolute = await t.created({ root: { path: container.inRootfs("") } });
      equal((await absolute.state()).status, "created");
    },
    "a path that does not exist is refused": async (t) => {
      await t.refused({ root: { path: "nothing" } });
    },
    "a path that is a file is refused": async (t) => {
      await t.refused({ root: { path: "config.json" } });
    },
    "no root at all is refused": async (t) => {
      await t.refused({ root: undefined });
    },
    "readonly: nothing can be written": async (t) => {
      equal(
        await t.probe("touch /new || echo refused; touch /etc/new || echo refused", { root: { readonly: true } }),
        "refused\nrefused",
      );
    },
    "readonly: mounts in it are as they say": async (t) => {
      equal(await t.probe("touch /tmp/new && echo made", { root: { readonly: true }, ...tmpfs() }), "made");
    },
    "readonly: the host's tree stays writable": async (t) => {
      const container = await t.running({ root: { readonly: true } });
      writeFileSync(container.inRootfs("new"), "");
      equal((await container.exec("ls /new")).out, "/new\n");
    },
    "without readonly it can be written": async (t) => {
      const container = await t.created({ process: { args: ["sh", "-c", "echo x >/new"] } });
      await container.start();
      await container.ended();
      equal(readFileSync(container.inRootfs("new"), "utf8"), "x\n");
    },
    "the host's root cannot be reached by ..": async (t) => {
      equal(
        await t.probe("cd /; cd ../../../..; ls bin/busybox; ls -d ../../rootfs 2>/dev/null || echo none"),
        "bin/busybox\nnone",
      );
    },
  }),
  ...section("config-linux.md#rootfs-mount-propagation", {
    shared: async (t) => {
      match(await propagationAt(t, "/", { linux: { rootfsPropagation: "shared" } }), /^shared:\d+$/);
    },
    slave: async (t) => {
      match(
        await propagationAt(t, "/", { linux: { rootfsPropagation: "slave" } }),
        /^(master:\d+)?( propagate_from:\d+)?$/,
      );
    },
    private: async (t) => {
      equal(await propagationAt(t, "/", { linux: { rootfsPropagation: "private" } }), "");
    },
    unbindable: async (t) => {
      equal(await propagationAt(t, "/", { linux: { rootfsPropagation: "unbindable" } }), "unbindable");
    },
    "another value is refused": async (t) => {
      await t.refused({ linux: { rootfsPropagation: "nosuch" } });
    },
    "shared: the container's mounts do not reach the host": async (t) => {
      const container = await t.running({ linux: { rootfsPropagation: "shared" } });
      equal(statSync(container.inRootfs("proc")).dev, statSync(container.inRootfs("etc")).dev);
    },
  }),
];
