// podman drives the runtime core by its command line, with conmon as the parent of what it makes.
import { cp, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { bed } from "../support/bed.js";
import { cgroupsNaming } from "../support/cgroup-tree.js";
import { runCommand } from "../support/command.js";

const name = `podded-${process.pid}`;
let directory: string;

interface Printed {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function podman(...args: readonly string[]): Promise<Printed> {
  const { code, stdout, stderr } = await runCommand([
    "podman",
    ...["--runtime", join(bed.built, "vigil-runtime"), "--cgroup-manager", "cgroupfs", "--events-backend", "file"],
    ...["--root", join(directory, "root"), "--runroot", join(directory, "run"), "--storage-driver", "vfs"],
    ...args,
  ]);
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
