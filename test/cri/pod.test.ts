// Pods as the kubelet makes them, through containerd's own CRI plugin: our shim and the stock one, which must answer the same.
import { readlinkSync } from "node:fs";
import { basename } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bed, chosenVersions, seconds, stockRuntime } from "../support/bed.js";
import { type CriNode, criNamespace, type Handler, startNode } from "../support/cri/node.js";
import { containerState, Pod, type PodOptions, sandboxState } from "../support/cri/pod.js";
import { leftSince, takeSnapshot } from "../support/leftovers.js";
import { alive, allProcesses, killNow, processView } from "../support/process-tree.js";

const limitBytes = 20_000_000;
const podLimitBytes = 40_000_000;
const forever = ["/bin/sleep", "100000"] as const;
/** The plugin takes the event of the kill and the exit on two ways. */
const patience = { timeout: seconds(20) };
const eat = ["/bin/tail", "/dev/zero"] as const;

describe.each(chosenVersions())("containerd %s", (version) => {
  let node: CriNode;
  beforeAll(async () => {
    node = await startNode(version);
  });
  afterAll(async () => {
    await node.close();
  });

  /** Whose things may be left: the plugin's namespace, this containerd's directory, this run's cgroups. */
  const owners = () => {
    const { base, namespace } = node.containerd;
    return [criNamespace, basename(base), namespace].map((name) => ({ namespace: name, base }));
  };
  let before: (readonly string[])[];
  beforeEach(async () => {
    before = await Promise.all(owners().map(takeSnapshot));
  });
  afterEach(async () => {
    const left = await Promise.all(owners().map((owner, at) => leftSince(before[at] ?? [], owner)));
    expect(left.flat()).toEqual([]);
  });

  const namespaceOf = (pid: number, kind: string) => readlinkSync(`/proc/${pid}/ns/${kind}`);

  // Without a pause container a pod has no first process that could begin a pid namespace.
  const handlers: readonly Handler[] = version === "1.7" ? ["vigil", "runc"] : ["vigil", "runc", "vigil-pod"];

  describe.each(handlers)("handler %s", (handler) => {
    const paused = handler !== "vigil-pod";
    const stock = handler === "runc" || bed.runtime === stockRuntime;
    // The stock shim may tell of the kill after the exit, or not at all.
    const outOfMemory = stock ? expect.stringMatching(/^(OOMKilled|Error)$/) : "OOMKilled";
    // containerd below 2.3 ends with a panic over a pod on the machine's network that has no pause container.
    const run = (name: string, options: Omit<PodOptions, "handler"> = {}) =>
      Pod.run(node, `${name}-${handler}`, { handler, ownNetwork: !paused, ...options });

    test("a container's whole life", async () => {
      const pod = await run("life");
      expect(await pod.state()).toBe(sandboxState.ready);
      const container = await pod.create("c", [
        "/bin/sh",
        "-c",
        "trap 'exit 3' TERM; echo ready; while :; do sleep 1; done",
      ]);
      expect(await container.status()).toMatchObject({ state: containerState.created });
      await container.start();
      expect(await container.status()).toMatchObject({ state: containerState.running });
      expect(await container.execSync(["/bin/sh", "-c", "echo out; echo err >&2; exit 7"])).toEqual({
        stdout: "out\n",
        stderr: "err\n",
        exitCode: 7,
      });
      const { stats } = await node.call<{ stats: { memory: { usageBytes: { value: bigint } } } }>("ContainerStats", {
        containerId: container.id,
      });
      expect(stats.memory.usageBytes.value).toBeGreaterThan(0n);
      await container.stop(20);
      expect(await container.status()).toMatchObject({ state: containerState.exited, exitCode: 3, reason: "Error" });
      await container.remove();
      await pod.end();
    });

    test("its end by itself", async () => {
      const pod = await run("end");
      const container = await pod.start("c", ["/bin/true"]);
      expect(await container.exited()).toMatchObject({ exitCode: 0, reason: "Completed" });
      await pod.end();
    });

    test("a program that is not there", async () => {
      const pod = await run("missing");
      const container = await pod.create("c", ["/no/such/program"]);
      await expect(container.start()).rejects.toThrow(/no such file or directory/);
      expect(await container.status()).toMatchObject({
        state: containerState.exited,
        exitCode: 128,
        reason: "StartError",
      });
      await pod.end();
    });

    test("the pod's containers share what they are to share, and a shim", async () => {
      const hostname = `pod-of-${handler}`;
      const pod = await run("share", { sharedPids: paused, ownNetwork: true, hostname });
      const pause = await pod.pid();
      const one = await pod.start("one", forever);
      const two = await pod.start("two", forever);
      const pids = await Promise.all([one.pid(), two.pid()]);
      // The processes behind a pause container, and whoever stands for one, are the shim's.
      const shim = paused ? processView(pause)?.parent : pause;
      for (const pid of pids) {
        for (const kind of ["net", "ipc", "uts"]) expect(namespaceOf(pid, kind)).toBe(namespaceOf(pause, kind));
        expect(namespaceOf(pid, "mnt")).not.toBe(namespaceOf(pause, "mnt"));
        expect(namespaceOf(pid, "pid") === namespaceOf(pause, "pid")).toBe(paused);
        expect(processView(pid)?.parent).toBe(shim);
      }
      for (const kind of ["net", "ipc", "uts"])
        expect(namespaceOf(pause, kind)).not.toBe(namespaceOf(process.pid, kind));
      expect((await one.execSync(["/bin/hostname"])).stdout).toBe(`${hostname}\n`);
      const seen = await one.execSync(["/bin/ps", "-o", "args"]);
      expect(seen.stdout.split("\n").filter((line) => line.includes("sleep 100000"))).toHaveLength(paused ? 3 : 1);
      await one.stop(0);
      expect(await one.status()).toMatchObject({ exitCode: 137 });
      expect(await two.status()).toMatchObject({ state: containerState.running });
      await pod.end();
    });

    test("a container that shares its pid namespace leaves nothing behind", async () => {
      const pod = await run("behind", { sharedPids: paused });
      const container = await pod.start("c", ["/bin/sh", "-c", "sleep 1234567 & exit 4"]);
      expect(await container.exited()).toMatchObject({ exitCode: 4 });
      expect(allProcesses().filter(({ command }) => command === "sleep 1234567")).toEqual([]);
      expect(await pod.state()).toBe(sandboxState.ready);
      await pod.end();
    });

    test("a pod outlives containerd", async () => {
      const pod = await run("outlive");
      const container = await pod.start("c", forever);
      const pids = [await pod.pid(), await container.pid()];
      await node.containerd.restart();
      expect(await pod.state()).toBe(sandboxState.ready);
      expect(await container.status()).toMatchObject({ state: containerState.running });
      expect([await pod.pid(), await container.pid()]).toEqual(pids);
      expect((await container.execSync(["/bin/echo", "still here"])).stdout).toBe("still here\n");
      const second = await pod.start("second", eat, { memoryLimit: limitBytes });
      await second.exited();
      await expect.poll(() => second.status(), patience).toMatchObject({ exitCode: 137, reason: outOfMemory });
      await pod.stop();
      expect(await pod.state()).toBe(sandboxState.notReady);
      expect(await container.status()).toMatchObject({ state: containerState.exited, exitCode: 137 });
      await pod.end();
    });

    test("the first process out of memory", async () => {
      const pod = await run("init");
      const container = await pod.start("c", eat, { memoryLimit: limitBytes });
      await container.exited();
      await expect.poll(() => container.status(), patience).toMatchObject({ exitCode: 137, reason: outOfMemory });
      await pod.end();
    });

    test("a child out of memory", async () => {
      const pod = await run("child");
      const container = await pod.start("c", ["/bin/sh", "-c", "tail /dev/zero; exit 9"], { memoryLimit: limitBytes });
      await container.exited();
      await expect.poll(() => container.status(), patience).toMatchObject({ exitCode: 9, reason: outOfMemory });
      await pod.end();
    });

    test("the pod out of memory", async () => {
      const pod = await run("pod", { memoryLimit: podLimitBytes });
      const bystander = await pod.start("bystander", forever);
      const eater = await pod.start("eater", eat);
      await eater.exited();
      await expect.poll(() => eater.status(), patience).toMatchObject({ exitCode: 137, reason: outOfMemory });
      await bystander.stop(0);
      // cgroup v1 notifies every cgroup below the limit, and the stock shim blames them all; ours asks each one's counter.
      const reasons = stock ? ["Error", "OOMKilled"] : ["Error"];
      const { exitCode, reason } = await bystander.status();
      expect(exitCode).toBe(137);
      expect(reasons).toContain(reason);
      await pod.end();
    });
  });

  // What follows the stock shim does not do: after its pause container has died it stays, after its own death containers live on.
  const ours = bed.runtime === stockRuntime ? [] : handlers.filter((handler) => handler !== "runc");
  const own = (handler: Handler) => ({ handler, ownNetwork: handler === "vigil-pod" });

  describe.each(ours)("handler %s", (handler) => {
    test("the death of the shim is the end of the pod", async () => {
      const pod = await Pod.run(node, `death-${handler}`, own(handler));
      const container = await pod.start("c", forever);
      const init = await container.pid();
      const shim = processView(init)?.parent ?? 0;
      killNow(shim);
      await expect.poll(() => pod.state(), patience).toBe(sandboxState.notReady);
      await container.exited();
      await expect.poll(() => alive(init), patience).toBe(false);
      await pod.end();
    });
  });

  describe.each(ours.filter((handler) => handler === "vigil"))("handler %s", (handler) => {
    test("the end of the pause container is not that of the others", async () => {
      const pod = await Pod.run(node, "unpaused", own(handler));
      const pause = await pod.pid();
      const shim = processView(pause)?.parent ?? 0;
      const containers = [await pod.start("one", forever), await pod.start("two", forever)] as const;
      killNow(pause);
      await expect.poll(() => pod.state(), patience).toBe(sandboxState.notReady);
      for (const container of containers) {
        expect(await container.status()).toMatchObject({ state: containerState.running });
        expect((await container.execSync(["/bin/true"])).exitCode).toBe(0);
        expect(processView(await container.pid())?.parent).toBe(shim);
      }
      await containers[0].stop(0);
      await containers[0].remove();
      expect(await containers[1].status()).toMatchObject({ state: containerState.running });
      expect(alive(shim)).toBe(true);
      await pod.end();
      await expect.poll(() => alive(shim), patience).toBe(false);
    });

    test("a pid namespace ends with the pause container", async () => {
      const pod = await Pod.run(node, "first", { ...own(handler), sharedPids: true });
      const containers = [await pod.start("one", forever), await pod.start("two", forever)];
      killNow(await pod.pid());
      for (const container of containers) {
        expect(await container.exited()).toMatchObject({ exitCode: 137, reason: "Error" });
      }
      await expect.poll(() => pod.state(), patience).toBe(sandboxState.notReady);
      await pod.end();
    });
  });
});
