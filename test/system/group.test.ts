import { once } from "node:events";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prepareBed } from "../support/bed.js";
import { type Bundle, DirectShim } from "../support/direct-shim.js";
import { childrenOf } from "../support/process-tree.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const alreadyExists = 6;

let shim: DirectShim;
beforeEach(() => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
});
afterEach(async () => {
  shim.deleteAll();
  await expect.poll(() => shim.leftovers(), { timeout: 5_000 }).toEqual([]);
  shim[Symbol.dispose]();
});

describe.each(["io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"])(
  "containers with the same %s",
  (annotation) => {
    test("share a shim, which ends with the last of them", async () => {
      const bundles = ["a", "b"].map((id) =>
        shim.bundle(id, { args: ["sleep", "100"], annotations: { [annotation]: "pod1" } }),
      );
      const sockets = bundles.map((bundle) => shim.start(bundle).socket);
      expect(sockets[0]).toBe(sockets[1]);
      using client = new ReflectingClient(sockets[0] ?? "");
      const call = (method: string, request: Fields) => client.call(task, method, request);
      const { pid: core } = shim.core("pod1");
      for (const { id, dir } of bundles) {
        await call("Create", { id, bundle: dir });
        await call("Start", { id });
        expect(await call("Connect", { id })).toMatchObject({ shimPid: core });
      }
      const end = async ({ id }: Bundle) => {
        await call("Kill", { id, signal: 9 });
        expect(await call("Wait", { id })).toMatchObject({ exitStatus: 137 });
        await call("Delete", { id });
        await call("Shutdown", { id });
      };
      const [first, second] = bundles as [Bundle, Bundle];
      await end(first);
      shim.delete(first);
      expect(await call("State", { id: second.id })).toMatchObject({ status: 2 });
      expect(shim.core("pod1").pid).toBe(core);
      await end(second);
    });
  },
);

describe("a mutation with a vigil-request-id", () => {
  test("acts once, also when the daemon dies between the tries", async () => {
    const bundle = shim.bundle("c1", { args: ["sleep", "100"] });
    const { socket } = shim.start(bundle);
    const create = { id: "c1", bundle: bundle.dir };
    const headers = { "vigil-request-id": "create-1" };
    const first = new ReflectingClient(socket);
    const created = await first.call(task, "Create", create, headers);
    expect(await first.call(task, "Create", create, headers)).toEqual(created);
    await expect(first.call(task, "Create", create)).rejects.toMatchObject({ code: alreadyExists });

    const { pid: core } = shim.core("c1");
    const daemon = childrenOf(core).find(({ command }) => command.includes("daemon"));
    process.kill(daemon?.pid ?? 0, "SIGKILL");
    first[Symbol.dispose]();
    using second = new ReflectingClient(socket);
    expect(await second.call(task, "Create", create, headers)).toEqual(created);
    const info = await second.call("vigil.v1.Vigil", "Info", {});
    expect(info).toMatchObject({ daemonRestarts: 1n, corePid: core });
    const seen: unknown[] = [];
    const events = await second.stream("vigil.v1.Vigil", "Events", { afterSequence: 0n, follow: false }, ({ topic }) =>
      seen.push(topic),
    );
    await once(events, "end");
    expect(seen).toEqual(["/tasks/create"]);
    await second.call(task, "Kill", { id: "c1", signal: 9 });
    await second.call(task, "Delete", { id: "c1" }, { "vigil-request-id": "delete-1" });
    expect(await second.call(task, "Delete", { id: "c1" }, { "vigil-request-id": "delete-1" })).toMatchObject({
      exitStatus: 137,
    });
    await second.call(task, "Shutdown", { id: "c1" });
  });
});
