// containerd's own way of checkpoints: images in its content store, and containers from these.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bed, chosenVersions, stockRuntime } from "../support/bed.js";
import { type Containerd, startContainerd } from "../support/containerd.js";
import { findCriu } from "../support/criu.js";

const criu = findCriu();
if (criu.path === undefined)
  console.warn(`skipped: checkpoints, as no CRIU works here (test/bed/bed.sh criu fetches one): ${criu.why}`);

const patiently = { timeout: 30_000, interval: 50 };

describe.skipIf(criu.path === undefined).each(chosenVersions())("containerd %s", (version) => {
  let containerd: Containerd;
  beforeAll(async () => {
    const path = [bed.built, bed.binaries(version), criu.path ?? ""].join(":");
    containerd = await startContainerd(version, { env: () => ({ PATH: path }) });
  });
  afterAll(() => containerd.close());

  async function ctr(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await containerd.ctr(args);
    expect({ args, code, stderr: code === 0 ? "" : stderr.toString() }).toEqual({ args, code: 0, stderr: "" });
    return stdout.toString().trim();
  }

  const flags = () => ["--runtime", bed.runtime, ...containerd.ociFlags(bed.runtime, "run")];

  const numbersOf = (id: string): number[] => {
    const file = join(containerd.bundle(id), "rootfs/count");
    return existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1).map(Number) : [];
  };

  async function end(id: string): Promise<void> {
    await ctr("task", "kill", "-s", "SIGKILL", id);
    await expect.poll(() => ctr("task", "ls"), patiently).toMatch(new RegExp(`${id}\\s+\\d+\\s+STOPPED`));
    await containerd.ctr(["task", "delete", id]);
    await ctr("container", "delete", id);
  }

  test("a container goes on as another one, with its file system and its memory", async () => {
    const image = await containerd.image();
    const script = "i=0; while :; do i=$((i+1)); echo $i >>/count; sleep 0.05; done";
    await ctr("run", "--detach", ...flags(), image, "first", "sh", "-c", script);
    await expect.poll(() => numbersOf("first").length, patiently).toBeGreaterThan(3);
    await ctr("container", "checkpoint", "--rw", "--image", "--task", "first", "vigil.test/kept");
    const atLeast = numbersOf("first").length;
    await expect.poll(() => numbersOf("first").length, patiently).toBeGreaterThan(atLeast);
    await containerd.settled();
    const of = (topic: string) => containerd.events.records.filter((event) => event.topic === topic);
    // The stock shim has none.
    const told = bed.runtime === stockRuntime ? [] : ["first"];
    expect(of("/tasks/checkpointed").map(({ body }) => body.container_id)).toEqual(told);
    await end("first");

    await ctr("container", "restore", "--rw", "--live", "second", "vigil.test/kept");
    await expect.poll(() => numbersOf("second").length, patiently).toBeGreaterThan(atLeast + 3);
    const numbers = numbersOf("second");
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    await containerd.settled();
    const created = of("/tasks/create").find(({ body }) => body.container_id === "second");
    expect(created?.body).toMatchObject({ checkpoint: expect.stringMatching(/./) });
    expect(created?.body.pid ?? 0).toBe(0);
    await end("second");
  });

  // ctr 1.7 sends options to runtimes that have runc's name only.
  const optionsArrive = version !== "1.7" || bed.runtime === stockRuntime;
  if (!optionsArrive) console.warn("skipped: options of a checkpoint, which ctr 1.7 sends to the stock shim only");
  test.skipIf(!optionsArrive)("a task ends with its checkpoint, which stays where it was asked for", async () => {
    const images = join(containerd.base, "images");
    await ctr("run", "--detach", ...flags(), await containerd.image(), "third", "sleep", "1000");
    await ctr("task", "checkpoint", "--exit", "--image-path", images, "third");
    await expect.poll(() => ctr("task", "ls"), patiently).toMatch(/third\s+\d+\s+STOPPED/);
    expect(existsSync(join(images, "inventory.img"))).toBe(true);
    await containerd.ctr(["task", "delete", "third"]);
    await ctr("container", "delete", "third");
  });
});
