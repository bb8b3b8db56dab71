// podman drives the runtime core by its command line, with conmon as the parent of what it makes.
import { cp, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { bed } from "../support/bed.js";
import { cgroupsNaming } from "../support/cgroup-tree.js";
import { runCommand } from "../support/command.js";
import { findCriu } from "../support/criu.js";

const name = `podded-${process.pid}`;
const criu = findCriu();
if (criu.path === undefined) console.warn(`skipped: podman's checkpoints, as no CRIU works here: ${criu.why}`);
let directory: string;

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function podman(...args: readonly string[]): Promise<Printed> {
  const { code, stdout, stderr } = await runCommand(
    [
      "podman",
      ...["--runtime", join(bed.built, "vigil-runtime"), "--cgroup-manager", "cgroupfs", "--events-backend", "file"],
      ...["--root", join(directory, "root"), "--runroot", join(directory, "run"), "--storage-driver", "vfs"],
      ...args,
    ],
    { env: { ...process.env, PATH: criu.path ?? process.env.PATH } },
  );
  return { code, out: stdout.toString().trim(), err: stderr.toString().trim() };
}

/** podman raises limits to the kernel's, which a machine inside of another one may not allow. */
const own = ["--network", "host", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"];

function run(options: readonly string[], ...command: readonly string[]): Promise<Printed> {
  return podman("run", "--name", name, ...own, ...options, "--rootfs", join(directory, "rootfs"), ...command);
}

beforeAll(async () => {
  directory = await mkdtemp("/var/tmp/vigil-podman-");
  await cp(bed.rootfs, join(directory, "rootfs"), { recursive: true, verbatimSymlinks: true });
});

afterEach(async () => {
  expect(await podman("rm", "--force", "--ignore", "--time", "0", name)).toMatchObject({ code: 0 });
  expect(await cgroupsNaming("libpod-")).toEqual([]);
  const { stdout } = await runCommand([join(bed.built, "vigil-runtime"), "list", "--quiet"]);
  expect(stdout.toString()).toBe("");
});

afterAll(async () => {
  // podman binds its storage onto itself for as long as the machine is up.
  for (const storage of ["root", "root/vfs"]) await runCommand(["umount", join(directory, storage)]);
  await rm(directory, { recursive: true, force: true });
});

test("output and exit status arrive, and nothing stays", async () => {
  expect(await run(["--rm"], "sh", "-c", "echo out; echo err >&2; exit 4")).toEqual({
    code: 4,
    out: "out",
    err: "err",
  });
});

test("a program that does not exist is podman's status 127", async () => {
  const { code, err } = await run(["--rm"], "/bin/nosuch");
  expect({ code, err }).toEqual({ code: 127, err: expect.stringMatching(/nosuch.*no such file/i) });
});

test("a terminal", async () => {
  expect(await run(["--rm", "--tty"], "sh", "-c", "tty; exit 5")).toMatchObject({ code: 5, out: "/dev/pts/0" });
});

test("exec, pause, update, stop", async () => {
  expect(await run(["--detach", "--memory", "64m"], "sleep", "1000")).toMatchObject({ code: 0, err: "" });
  expect(await podman("exec", name, "sh", "-c", "echo in; exit 3")).toEqual({ code: 3, out: "in", err: "" });
  expect(await podman("exec", "--tty", name, "tty")).toMatchObject({ code: 0, out: "/dev/pts/0" });
  expect(await podman("pause", name)).toMatchObject({ code: 0 });
  expect(await podman("inspect", name, "--format", "{{.State.Status}}")).toMatchObject({ out: "paused" });
  expect(await podman("exec", name, "true")).toMatchObject({ code: 255 });
  expect(await podman("unpause", name)).toMatchObject({ code: 0 });
  expect(await podman("update", "--memory", "32m", name)).toMatchObject({ code: 0 });
  const limit = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; true";
  expect(await podman("exec", name, "sh", "-c", limit)).toMatchObject({ out: String(32 << 20) });
  expect(await podman("top", name, "args")).toMatchObject({ out: expect.stringContaining("sleep 1000") });
  expect(await podman("stop", "--time", "0", name)).toMatchObject({ code: 0 });
  expect(await podman("inspect", name, "--format", "{{.State.Status}} {{.State.ExitCode}}")).toMatchObject({
    out: "exited 137",
  });
});

test.skipIf(criu.path === undefined)("checkpoint and restore", async () => {
  const lines = async () => (await podman("logs", name)).out.split("\n");
  const script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
  expect(await run(["--detach"], "sh", "-c", script)).toMatchObject({ code: 0 });
  await expect.poll(async () => (await lines()).length, { timeout: 30_000 }).toBeGreaterThan(3);
  expect(await podman("container", "checkpoint", name)).toMatchObject({ code: 0, err: "" });
  expect(await podman("inspect", name, "--format", "{{.State.Status}}")).toMatchObject({ out: "exited" });
  const before = (await lines()).length;
  expect(await podman("container", "restore", name)).toMatchObject({ code: 0, err: "" });
  await expect.poll(async () => (await lines()).length, { timeout: 30_000 }).toBeGreaterThan(before + 3);
  const numbers = (await lines()).map(Number);
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
});
