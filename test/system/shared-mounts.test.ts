// vigil-runtime's containers without a mount namespace of their own: what they mount is their caller's, and goes with them.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { containerSpec } from "../../src/client/spec.js";
import { bed, prepareBed } from "../support/bed.js";

let dir: string;
beforeEach(() => {
  prepareBed();
  dir = realpathSync(mkdtempSync(join(tmpdir(), "vigil-shared-")));
  mkdirSync(join(dir, "rootfs"));
  cpSync(bed.rootfs, join(dir, "rootfs"), { recursive: true, verbatimSymlinks: true });
});
afterEach(() => rmSync(dir, { recursive: true }));

function configure(args: readonly string[]): void {
  const config = containerSpec({
    argv: args,
    rootPath: "rootfs",
    readonlyRoot: true,
    cgroupsPath: `/vigil-shared-${process.pid}`,
  });
  const spec = JSON.parse(JSON.stringify(config));
  spec.linux.namespaces = [{ type: "pid" }, { type: "ipc" }, { type: "uts" }];
  spec.linux.maskedPaths = spec.linux.readonlyPaths = [];
  writeFileSync(join(dir, "config.json"), JSON.stringify(spec));
}

/** Shell text in a mount namespace of its own, which here is the host's: nothing of it can stay behind. $V: vigil-runtime. */
function onHost(text: string, propagation: "private" | "shared"): string {
  const V = `${process.execPath} ${join(bed.built, "../lib/vigil/boot.cjs")} runtime --root ${join(dir, "state")}`;
  const args = ["--mount", "--propagation", propagation, "sh", "-euc", text];
  return execFileSync("unshare", args, { cwd: dir, env: { PATH: process.env.PATH, V }, encoding: "utf8" });
}

const count = 'echo mounts $(grep -c " $PWD/rootfs" /proc/self/mountinfo)';

test.each([
  ["private", "mount --bind rootfs rootfs", "mounts 1"],
  ["shared", "true", "mounts 0"],
] as const)("its root is its own, the mounts go when it is deleted (%s)", (propagation, own, before) => {
  configure(["sh", "-c", "ls -d /bin /proc/1 /dev/null; touch /x 2>/dev/null || echo read-only"]);
  const lines = onHost(`${own}; ${count}; $V run c; ${count}; $V run c >/dev/null; ${count}`, propagation);
  // What was mounted there before stays.
  const expected = [before, "/bin", "/dev/null", "/proc/1", "read-only", before, before];
  expect(lines.trim().split("\n")).toEqual(expected);
});

test("an exec is in the same root; a failed creation leaves nothing", () => {
  configure(["sleep", "1000"]);
  writeFileSync(join(dir, "rootfs/only-here"), "");
  const failing = `sed 's/"sleep"/"no-such-program"/' config.json >changed && mv changed config.json; $V run c 2>&1 || ${count}`;
  const running = `$V run -d c >/dev/null 2>&1 </dev/null; $V exec c ls -d /only-here; $V delete --force c; ${count}`;
  const lines = onHost(`${running}; ${failing}`, "private").trim().split("\n");
  expect(lines[0]).toBe("/only-here");
  expect(lines.at(-2)).toContain("executable file not found");
  expect([lines[1], lines.at(-1)]).toEqual(["mounts 0", "mounts 0"]);
});
