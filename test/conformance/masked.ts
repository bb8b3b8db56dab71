// Masked and read-only paths.
import { equal, match, notEqual } from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mounts } from "./harness/config.js";
import { section } from "./harness/test.js";

const secrets = {
  prepare: ({ rootfs }: { rootfs: string }) => {
    writeFileSync(join(rootfs, "etc/secret"), "secret\n");
    mkdirSync(join(rootfs, "etc/secrets"));
    writeFileSync(join(rootfs, "etc/secrets/one"), "secret\n");
    symlinkSync("secret", join(rootfs, "etc/link"));
  },
};

export const maskedTests = [
  ...section("config-linux.md#masked-paths", {
    "a masked file reads as empty": async (t) => {
      const out = await t.probe("cat /etc/secret; echo end", { linux: { maskedPaths: ["/etc/secret"] } }, secrets);
      equal(out, "end");
    },
    "a masked directory is empty and cannot be written": async (t) => {
      const text = "ls -A /etc/secrets; touch /etc/secrets/two 2>/dev/null || echo refused";
      equal(await t.probe(text, { linux: { maskedPaths: ["/etc/secrets"] } }, secrets), "refused");
    },
    "a path that does not exist is no error": async (t) => {
      equal(await t.probe("echo ran", { linux: { maskedPaths: ["/etc/nothing", "/no/such/path"] } }), "ran");
    },
    "a path through a symbolic link masks what the link points to": async (t) => {
      const out = await t.probe(
        "cat /etc/secret /etc/link; echo end",
        { linux: { maskedPaths: ["/etc/link"] } },
        secrets,
      );
      equal(out, "end");
    },
    "masks lie over what mounts brought": async (t) => {
      const brought = t.directory("brought");
      writeFileSync(join(brought, "file"), "secret\n");
      const edit = {
        ...mounts({ destination: "/tmp", type: "none", source: brought, options: ["bind"] }),
        linux: { maskedPaths: ["/tmp/file"] },
      };
      equal(await t.probe("cat /tmp/file; echo end", edit), "end");
    },
    "several paths of /proc and /sys as managers ask for them": async (t) => {
      const maskedPaths = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/scsi"];
      const out = await t.probe("cat /proc/timer_list /proc/keys; ls -A /sys/firmware; echo end", {
        linux: { maskedPaths },
      });
      equal(out, "end");
    },
    "a masked file of the rootfs is untouched on the host": async (t) => {
      const container = await t.running({ linux: { maskedPaths: ["/etc/secret"] } }, secrets);
      equal(await t.host("cat", container.inRootfs("etc/secret")), "secret\n");
    },
    "a process of exec sees the mask, too": async (t) => {
      const container = await t.running({ linux: { maskedPaths: ["/etc/secret"] } }, secrets);
      equal((await container.exec("cat /etc/secret; echo end")).out, "end\n");
    },
  }),
  ...section("config-linux.md#readonly-paths", {
    "a read-only file can be read and not written": async (t) => {
      const text = "cat /etc/secret; echo more >>/etc/secret || echo refused";
      equal(await t.probe(text, { linux: { readonlyPaths: ["/etc/secret"] } }, secrets), "secret\nrefused");
    },
    "nothing below a read-only directory can be written": async (t) => {
      const text =
        "touch /etc/secrets/one || echo refused; touch /etc/secrets/two || echo refused; touch /etc/other && echo made";
      equal(await t.probe(text, { linux: { readonlyPaths: ["/etc/secrets"] } }, secrets), "refused\nrefused\nmade");
    },
    "a path that does not exist is no error": async (t) => {
      equal(await t.probe("echo ran", { linux: { readonlyPaths: ["/etc/nothing", "/no/such/path"] } }), "ran");
    },
    "the container's settings of the kernel are read-only": async (t) => {
      const text = "echo x >/proc/sys/kernel/hostname || echo refused; cat /proc/sys/kernel/hostname";
      equal(await t.probe(text, { linux: { readonlyPaths: ["/proc/sys"] } }), "refused\nconformance");
    },
    "the flags of the mount below are kept": async (t) => {
      const edit = {
        ...mounts({ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "noexec"] }),
        linux: { readonlyPaths: ["/tmp"] },
      };
      const options = (await t.probe("grep ' /tmp ' /proc/mounts | tail -n 1", edit)).split(" ")[3] ?? "";
      for (const flag of ["ro", "nosuid", "nodev", "noexec"]) match(options, new RegExp(`(^|,)${flag}(,|$)`));
    },
    "without them, the same is writable": async (t) => {
      const out = await t.probe("echo changed >/proc/sys/kernel/hostname; cat /proc/sys/kernel/hostname");
      notEqual(out, "conformance");
    },
  }),
];
