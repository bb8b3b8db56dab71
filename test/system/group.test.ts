import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prepareBed } from "../support/bed.js";
import { type Bundle, DirectShim } from "../support/direct-shim.js";
import { alive, childrenOf, processView } from "../support/process-tree.js";
import { type Fields, ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";
const alreadyExists = 6;

let shim: DirectShim;
beforeEach(() => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
});
afterEach(async () => {
  await shim.end();
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
      const cores = new Set<unknown>();
      for (const { id, dir } of bundles) {
        await call("Create", { id, bundle: dir });
        await call("Start", { id });
        cores.add((await call("Connect", { id })).shimPid);
      }
      const { pid: core } = shim.core("pod1");
      expect([...cores]).toEqual([core]);
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

describe("a pause container and those that share its namespaces", () => {
  const pod = { "io.kubernetes.cri.sandbox-id": "pod1" };
  const joining = (pid: number, kinds: readonly string[]) => (config: Record<string, unknown>) => {
    const linux = config.linux as { namespaces: { type: string; path?: string }[] };
    linux.namespaces = linux.namespaces.map(({ type }) => {
      const kind = type === "network" ? "net" : type;
      return kinds.includes(kind) ? { type, path: `/proc/${pid}/ns/${kind}` } : { type };
    });
  };

  /** The pause container and two others, started. */
  const begin = async (shared: readonly string[]) => {
    const pause = shim.bundle("pod1", { args: ["sleep", "100"], annotations: pod });
    const client = new ReflectingClient(shim.start(pause).socket);
    const call = (method: string, request: Fields) => client.call(task, method, request);
    const run = async ({ id, dir }: Bundle) => {
      const { pid } = await call("Create", { id, bundle: dir });
      await call("Start", { id });
      return pid as number;
    };
    const pausePid = await run(pause);
    const others = ["a", "b"].map((id) =>
      shim.bundle(id, { args: ["sleep", "100"], annotations: pod, change: joining(pausePid, shared) }),
    );
    const pids: number[] = [];
    for (const bundle of others) {
      shim.start(bundle);
      pids.push(await run(bundle));
    }
    for (const kind of ["pid", "net", "ipc"]) {
      const same = pids.map(
        (pid) => readlinkSync(`/proc/${pid}/ns/${kind}`) === readlinkSync(`/proc/${pausePid}/ns/${kind}`),
      );
      expect(same).toEqual(pids.map(() => shared.includes(kind)));
    }
    const remove = async (bundle: Bundle) => {
      await call("Delete", { id: bundle.id });
      await call("Shutdown", { id: bundle.id });
      shim.delete(bundle);
    };
    return { client, call, remove, pause, others: others as [Bundle, Bundle], pids, core: shim.core("pod1").pid };
  };

  test("end one by one, the shim with the last", async () => {
    const { client, call, remove, pause, others, pids, core } = await begin(["net", "ipc"]);
    using _ = client;
    await call("Kill", { id: pause.id, signal: 9 });
    expect(await call("Wait", { id: pause.id })).toMatchObject({ exitStatus: 137 });
    await remove(pause);
    for (const pid of pids) expect(processView(pid)).toMatchObject({ parent: core });
    for (const bundle of others) {
      expect(alive(core)).toBe(true);
      expect(await call("State", { id: bundle.id })).toMatchObject({ status: 2 });
      await call("Kill", { id: bundle.id, signal: 9 });
      await call("Wait", { id: bundle.id });
      await remove(bundle);
    }
    await expect.poll(() => alive(core), { timeout: 20_000 }).toBe(false);
  });

  test("end together when they share its pid namespace, each with an exit of its own", async () => {
    const { client, call, remove, pause, others, core } = await begin(["pid", "net", "ipc"]);
    using _ = client;
    await call("Kill", { id: pause.id, signal: 9 });
    for (const bundle of [pause, ...others]) {
      expect(await call("Wait", { id: bundle.id })).toMatchObject({ exitStatus: 137 });
    }
    for (const bundle of [...others, pause]) {
      expect(alive(core)).toBe(true);
      await remove(bundle);
    }
    await expect.poll(() => alive(core), { timeout: 20_000 }).toBe(false);
  });
});

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
