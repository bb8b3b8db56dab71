// Device nodes.
import { equal, match } from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { section } from "./harness/test.js";

const fuse = { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o640, uid: 1000, gid: 2000 };

export const deviceTests = [
  ...section("config-linux.md#default-devices", {
    "null, zero, full, random, urandom and tty, usable by everybody": async (t) => {
      const out = await t.probe(
        "cd /dev; for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' $d; done",
      );
      const expected = ["null 1:3", "zero 1:5", "full 1:7", "random 1:8", "urandom 1:9", "tty 5:0"];
      equal(out, expected.map((line) => line.replace(" ", " character special file ").concat(" 666")).join("\n"));
    },
    "they work": async (t) => {
      const text =
        "echo x >/dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c; echo x 2>&1 >/dev/full | grep -o 'No space'";
      equal(await t.probe(text), "4\n4\nNo space");
    },
    "ptmx is that of the container's /dev/pts": async (t) => {
      equal(await t.probe("ls -l /dev/ptmx | grep -q 'pts/ptmx' && echo link || stat -c '%t:%T' /dev/ptmx"), "link");
    },
    "no device of the host besides": async (t) => {
      const out = await t.probe("find /dev -type b -o -type c | sort | tr '\\n' ' '");
      match(out, /^(\/dev\/(console|full|null|ptmx|pts\/ptmx|random|tty|urandom|zero) ?)+$/);
    },
  }),
  ...section("config-linux.md#devices", {
    "a character device with number, mode and owner": async (t) => {
      const out = await t.probe("stat -c '%F %t:%T %a %u %g' /dev/fuse", { linux: { devices: [fuse] } });
      equal(out, "character special file a:e5 640 1000 2000");
    },
    "a block device": async (t) => {
      const devices = [{ path: "/dev/disk", type: "b", major: 7, minor: 200, fileMode: 0o600 }];
      equal(await t.probe("stat -c '%F %t:%T %a' /dev/disk", { linux: { devices } }), "block special file 7:c8 600");
    },
    "type u is an unbuffered character device": async (t) => {
      const devices = [{ ...fuse, type: "u" }];
      equal(await t.probe("stat -c '%F %t:%T' /dev/fuse", { linux: { devices } }), "character special file a:e5");
    },
    "type p is a fifo, without numbers": async (t) => {
      const devices = [{ path: "/dev/pipe", type: "p", fileMode: 0o622 }];
      equal(await t.probe("stat -c '%F %a' /dev/pipe", { linux: { devices } }), "fifo 622");
    },
    "outside of /dev, in a directory that does not exist": async (t) => {
      const devices = [{ ...fuse, path: "/opt/deep/fuse" }];
      equal(await t.probe("stat -c '%t:%T' /opt/deep/fuse", { linux: { devices } }), "a:e5");
    },
    "no mode: the node is there all the same": async (t) => {
      const devices = [{ path: "/dev/fuse", type: "c", major: 10, minor: 229 }];
      equal(await t.probe("stat -c '%t:%T' /dev/fuse", { linux: { devices } }), "a:e5");
    },
    "the mode is not cut by the runtime's umask": async (t) => {
      equal(await t.probe("stat -c %a /dev/fuse", { linux: { devices: [{ ...fuse, fileMode: 0o666 }] } }), "666");
    },
    "an unknown type is refused": async (t) => {
      await t.refused({ linux: { devices: [{ ...fuse, type: "x" }] } });
    },
    "a missing path is refused": async (t) => {
      await t.refused({ linux: { devices: [{ type: "c", major: 10, minor: 229 }] } });
    },
    // runc and crun take the file for the device.
    "a file that is there and is no such device is refused": async (t) => {
      const prepare = ({ rootfs }: { rootfs: string }) => {
        mkdirSync(join(rootfs, "opt"));
        writeFileSync(join(rootfs, "opt/fuse"), "");
      };
      await t.refused({ linux: { devices: [{ ...fuse, path: "/opt/fuse" }] } }, { prepare });
    },
    "the same device that is there already is no error": async (t) => {
      const prepare = ({ rootfs }: { rootfs: string }) => mkdirSync(join(rootfs, "opt"));
      const container = t.container({ linux: { devices: [{ ...fuse, path: "/opt/fuse" }] } }, { prepare });
      await t.host("mknod", container.inRootfs("opt/fuse"), "c", "10", "229");
      await container.mustCreate();
    },
  }),
];
