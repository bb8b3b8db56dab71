// vigil-runtime's checkpoint and restore, with real CRIU and nobody to supervise.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bed, prepareBed } from "../support/bed.js";
import { cgroupsNaming } from "../support/cgroup-tree.js";
import { runCommand } from "../support/command.js";
import { findCriu } from "../support/criu.js";

const criu = findCriu();
if (criu.path === undefined)
  console.warn(`skipped: checkpoints, as no CRIU works here (test/bed/bed.sh criu fetches one): ${criu.why}`);

const name = `kept-${process.pid}`;
const patiently = { timeout: 30_000, interval: 50 };
const counting = ["/bin/sh", "-c", "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo $i; sleep 0.05; done"];

let directory: string;
let bundle: string;
beforeEach(async () => {
  prepareBed();
  directory = mkdtempSync("/tmp/vr-");
  cpSync(bed.rootfs, join(directory, "bundle/rootfs"), { recursive: true, verbatimSymlinks: true });
  mkdirSync(join(directory, "root"));
  bundle = await writeBundle();
});
afterEach(async () => {
  await runtime("delete", "--force", name);
  expect(await cgroupsNaming(name)).toEqual([]);
  rmSync(directory, { recursive: true });
});

/** Its descriptors 1 and 2, and so the container's, are the end of the file "out". */
async function runtime(...args: readonly string[]): Promise<{ code: number; said: string }> {
  const before = output().length;
  const argv = [join(bed.built, "vigil-runtime"), "--root", join(directory, "root"), ...args];
  const shell = ["sh", "-c", 'exec "$@" </dev/null >>out 2>&1', "sh"];
  const env = { ...process.env, PATH: criu.path };
  const { code } = await runCommand([...shell, ...argv], { cwd: directory, env });
  return { code, said: output().slice(before) };
}

const output = (): string => (existsSync(join(directory, "out")) ? readFileSync(join(directory, "out"), "utf8") : "");
const counted = (): number[] => output().split("\n").slice(0, -1).map(Number);
const status = async (): Promise<unknown> => {
  const argv = [join(bed.built, "vigil-runtime"), "--root", join(directory, "root"), "state", name];
  const { code, stdout } = await runCommand(argv);
  return code === 0 ? (JSON.parse(stdout.toString()) as { status: string }).status : undefined;
};

/** A bundle with what `spec` writes, but for these. */
async function writeBundle(): Promise<string> {
  const bundle = join(directory, "bundle");
  expect(await runtime("spec", "--bundle", bundle)).toEqual({ code: 0, said: expect.any(String) });
  const path = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  Object.assign(config.process, { terminal: false, args: counting });
  config.linux.cgroupsPath = `/vigil-direct/${name}`;
  writeFileSync(path, JSON.stringify(config));
  return bundle;
}
const places = (): string[] => ["--image-path", join(directory, "images")];

describe.skipIf(criu.path === undefined)("vigil-runtime", () => {
  test("restores what it wrote and removed", async () => {
    expect(await runtime("run", "--detach", "--bundle", bundle, name)).toEqual({ code: 0, said: expect.any(String) });
    await expect.poll(() => counted().length, patiently).toBeGreaterThan(3);
    expect(await runtime("checkpoint", ...places(), name)).toEqual({ code: 0, said: expect.any(String) });
    expect(await status()).toBeUndefined();
    expect(await cgroupsNaming(name)).toEqual([]);
    const before = counted().length;

    const pidFile = join(directory, "pid");
    const how = ["--detach", "--pid-file", pidFile, "--bundle", bundle];
    expect(await runtime("restore", ...places(), ...how, name)).toEqual({ code: 0, said: expect.any(String) });
    expect(await status()).toBe("running");
    await expect.poll(() => counted().length, patiently).toBeGreaterThan(before + 3);
    expect(counted()).toEqual(counted().map((_, index) => index + 1));
    expect(readFileSync(`/proc/${readFileSync(pidFile, "utf8")}/cgroup`, "utf8")).toContain(name);
    expect(await runtime("kill", name, "KILL")).toEqual({ code: 0, said: expect.any(String) });
    await expect.poll(status, patiently).toBe("stopped");
  });

  test("leaves a container running, and waits for a restored one", async () => {
    await runtime("run", "--detach", "--bundle", bundle, name);
    await expect.poll(() => counted().length, patiently).toBeGreaterThan(1);
    expect(await runtime("checkpoint", "--leave-running", ...places(), name)).toEqual({
      code: 0,
      said: expect.any(String),
    });
    expect(await status()).toBe("running");
    await runtime("delete", "--force", name);
    const restored = runtime("restore", ...places(), "--bundle", bundle, name);
    await expect.poll(status, patiently).toBe("running");
    const argv = [join(bed.built, "vigil-runtime"), "--root", join(directory, "root"), "kill", name, "KILL"];
    expect(await runCommand(argv)).toMatchObject({ code: 0 });
    expect(await restored).toMatchObject({ code: 137 });
    expect(await status()).toBeUndefined();
  });

  test("says what it does not do, and leaves nothing of what failed", async () => {
    const restore = (...more: readonly string[]) => runtime("restore", ...places(), "--bundle", bundle, ...more, name);
    expect(await restore()).toMatchObject({ code: 1, said: expect.stringContaining('images\\" is not a directory') });
    expect(await restore("--manage-cgroups-mode", "ignore")).toMatchObject({
      code: 1,
      said: expect.stringContaining("--manage-cgroups-mode ignore: not implemented"),
    });
    mkdirSync(join(directory, "images"));
    expect(await restore()).toMatchObject({ code: 1, said: expect.stringContaining("path= ") });
    expect(await status()).toBeUndefined();
    expect(await runtime("checkpoint", ...places(), name)).toMatchObject({ code: 1 });
  });
});
