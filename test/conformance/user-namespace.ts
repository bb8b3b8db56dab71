// User namespaces.
import { equal, match, notEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync, statSync } from "node:fs";
import { type Edit, mounts, namespaces } from "./harness/config.js";
import { cgroupDir } from "./harness/host.js";
import { section } from "./harness/test.js";

const base = 100000;
const size = 65536;
const map = [{ containerID: 0, hostID: base, size }];

function mapped(more: Edit = {}): Edit {
  const { linux } = namespaces({ with: [{ type: "user" }] });
  return { linux: { ...(linux as object), uidMappings: map, gidMappings: map, ...more } };
}

/** The root file system belongs to the container's root. */
const owned = {
  prepare: ({ rootfs }: { rootfs: string }) => {
    execFileSync("chown", ["-R", "-h", `${base}:${base}`, rootfs]);
  },
};

export const userNamespaceTests = [
  ...section("config-linux.md#user-namespace-mappings", {
    "the process is in a user namespace of its own": async (t) => {
      const container = await t.running(mapped(), owned);
      notEqual(readlinkSync(`/proc/${await container.pid()}/ns/user`), readlinkSync("/proc/self/ns/user"));
    },
    "the maps are those of the configuration": async (t) => {
      const container = await t.running(mapped(), owned);
      for (const kind of ["uid_map", "gid_map"]) {
        const text = readFileSync(`/proc/${await container.pid()}/${kind}`, "utf8")
          .trim()
          .split(/\s+/)
          .join(" ");
        equal(text, `0 ${base} ${size}`);
      }
    },
    "several ranges": async (t) => {
      const ranges = [
        { containerID: 0, hostID: base, size: 1000 },
        { containerID: 1000, hostID: 500000, size: 10 },
      ];
      const container = await t.running(mapped({ uidMappings: ranges, gidMappings: ranges }), owned);
      const lines = readFileSync(`/proc/${await container.pid()}/uid_map`, "utf8")
        .trim()
        .split("\n");
      equal(lines.map((line) => line.trim().split(/\s+/).join(" ")).join(), `0 ${base} 1000,1000 500000 10`);
    },
    "root in the container is the mapped user on the host": async (t) => {
      const container = await t.running(mapped(), owned);
      match(await t.host("cat", `/proc/${await container.pid()}/status`), new RegExp(`^Uid:\\s+${base}\\s`, "m"));
      equal((await container.exec("id -u")).out, "0\n");
    },
    "another user of the container": async (t) => {
      const edit = { ...mapped(), process: { user: { uid: 1000, gid: 1000, additionalGids: [5] } } };
      equal(await t.probe("id -u; id -g; id -G", edit, owned), "1000\n1000\n1000 5");
    },
    "what the container writes belongs to the mapped user": async (t) => {
      const container = await t.created({ ...mapped(), process: { args: ["touch", "/tmp/new"] } }, owned);
      await container.start();
      await container.ended();
      equal(statSync(container.inRootfs("tmp/new")).uid, base);
    },
    "/proc and /dev are those of the container's root": async (t) => {
      equal(await t.probe("stat -c %u /proc/self/status /dev/shm /dev/pts", mapped(), owned), "0\n0\n0");
    },
    "default devices can be used": async (t) => {
      equal(await t.probe("echo x >/dev/null && head -c 1 /dev/zero | wc -c", mapped(), owned), "1");
    },
    "a tmpfs with ids of the container": async (t) => {
      const edit = {
        ...mapped(),
        ...mounts({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["uid=1000", "gid=1000"] }),
      };
      equal(await t.probe("stat -c '%u %g' /tmp", edit, owned), "1000 1000");
    },
    "capabilities hold in the namespace, not on the host": async (t) => {
      const text =
        "chown 1000:1000 /etc/passwd && echo own; echo 1 >/proc/sys/vm/swappiness 2>/dev/null || echo refused";
      equal(await t.probe(text, mapped(), owned), "own\nrefused");
    },
    "a masked file": async (t) => {
      equal(await t.probe("cat /etc/passwd; echo end", mapped({ maskedPaths: ["/etc/passwd"] }), owned), "end");
    },
    "an idmapped mount with the container's mapping": async (t) => {
      const folder = t.directory("source");
      t.file("source/file", "content\n");
      const edit = {
        ...mapped(),
        ...mounts({
          destination: "/tmp",
          type: "none",
          source: folder,
          options: ["bind", "idmap"],
          uidMappings: map,
          gidMappings: map,
        }),
      };
      equal(await t.probe("stat -c %u /tmp/file", edit, owned), "0");
    },
    "exec is in it, too": async (t) => {
      const container = await t.running(mapped(), owned);
      equal(
        (await container.exec("readlink /proc/self/ns/user; readlink /proc/1/ns/user; id -u")).out.split("\n").length,
        4,
      );
      const { out } = await container.exec("readlink /proc/self/ns/user; readlink /proc/1/ns/user");
      const [own, first] = out.trim().split("\n");
      equal(own, first);
    },
    "joined by path": async (t) => {
      const one = await t.running(mapped(), owned);
      const path = `/proc/${await one.pid()}/ns/user`;
      const two = await t.running(namespaces({ with: [{ type: "user", path }] }), owned);
      equal(readlinkSync(`/proc/${await two.pid()}/ns/user`), readlinkSync(path));
      match(await t.host("cat", `/proc/${await two.pid()}/status`), new RegExp(`^Uid:\\s+${base}\\s`, "m"));
    },
    "overlapping ranges are refused": async (t) => {
      const ranges = [
        { containerID: 0, hostID: base, size: 1000 },
        { containerID: 500, hostID: base + 5000, size: 1000 },
      ];
      await t.refused(mapped({ uidMappings: ranges, gidMappings: ranges }), owned);
    },
    "a user that is not mapped is refused": async (t) => {
      await t.refusedByStart({ ...mapped(), process: { user: { uid: 100000, gid: 0 } } }, owned);
    },
  }),
  ...section("config-linux.md#cgroup-ownership", {
    "without a writable cgroup mount the cgroup stays root's": async (t) => {
      const container = await t.created(mapped(), owned);
      equal(statSync(cgroupDir("pids", container.cgroupsPath)).uid, 0);
    },
  }),
];
