// SCMP_ACT_NOTIFY. The agent here reads the message and lets the listener go: node takes no descriptors along with data, and a call
// that nobody answers any more is answered ENOSYS by the kernel (seccomp_unotify(2)).
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { prepareBed } from "../support/bed.js";
import { DirectShim } from "../support/direct-shim.js";
import { ReflectingClient } from "../support/reflecting-client.js";

const task = "containerd.task.v3.Task";

let shim: DirectShim;
let server: Server;
let socket: string;
const messages: unknown[] = [];
beforeEach(async () => {
  prepareBed();
  shim = new DirectShim({ VIGIL_PROTOCOL: "grpc" });
  socket = join(shim.dir, "agent");
  messages.length = 0;
  server = createServer((connection: Socket) => {
    let text = "";
    connection.on("data", (part) => (text += part));
    connection.on("end", () => {
      messages.push(JSON.parse(text));
      connection.end();
    });
  }).listen(socket);
  await once(server, "listening");
});
afterEach(async () => {
  server.close();
  await shim.end();
});

function bundle(listenerPath: string, noNewPrivileges: boolean) {
  return shim.bundle("n1", {
    args: ["/bin/sh", "-c", "mkdir /tmp/x; exec sleep 100"],
    change: (config) => {
      (config.process as Record<string, unknown>).noNewPrivileges = noNewPrivileges;
      (config.linux as Record<string, unknown>).seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        listenerPath,
        listenerMetadata: "for the agent",
        syscalls: [{ names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY" }],
      };
    },
  });
}

test.each([true, false])(
  "the agent is told of the init, and of an exec; noNewPrivileges %s",
  async (noNewPrivileges) => {
    const { id, dir } = bundle(socket, noNewPrivileges);
    using client = new ReflectingClient(shim.start({ id, dir }).socket);
    const { pid } = await client.call(task, "Create", { id, bundle: dir, stderr: `file://${join(shim.dir, "err")}` });
    const state = { ociVersion: "1.1.0", id, pid, bundle: dir, annotations: {} };
    const told = { ociVersion: "1.1.0", fds: ["seccompFd"], metadata: "for the agent" };
    await expect.poll(() => messages).toEqual([{ ...told, pid, state: { ...state, status: "creating" } }]);
    await client.call(task, "Start", { id });
    await expect
      .poll(() => readFileSync(join(shim.dir, "err"), "utf8"), { timeout: 20_000 })
      .toContain("Function not implemented");

    const process = { args: ["/bin/sleep", "100"], cwd: "/", env: ["PATH=/bin"], noNewPrivileges };
    const spec = {
      typeUrl: "types.containerd.io/opencontainers/runtime-spec/1/Process",
      value: Buffer.from(JSON.stringify(process)),
    };
    await client.call(task, "Exec", { id, execId: "e1", spec });
    const exec = await client.call(task, "Start", { id, execId: "e1" });
    await expect.poll(() => messages[1]).toEqual({ ...told, pid: exec.pid, state: { ...state, status: "running" } });

    await client.call(task, "Kill", { id, signal: 9 });
    await client.call(task, "Wait", { id });
    await client.call(task, "Delete", { id, execId: "e1" });
    await client.call(task, "Delete", { id });
    await client.call(task, "Shutdown", { id });
  },
);

test("without an agent there is no container", async () => {
  const nobody = join(shim.dir, "nobody");
  const { id, dir } = bundle(nobody, true);
  using client = new ReflectingClient(shim.start({ id, dir }).socket);
  await expect(client.call(task, "Create", { id, bundle: dir })).rejects.toThrow(
    `OCI runtime create failed: send the seccomp listener to the agent at ${nobody}: No such file or directory`,
  );
  expect(messages).toEqual([]);
  await client.call(task, "Shutdown", { id });
});
