// The `start` action alone, called as containerd calls it: the time until the address is there and the pipe is closed.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ShutdownRequest } from "../../src/gen/containerd/task/v3/shim.js";
import { bed, shimBinary } from "../support/bed.js";
import { eventually, runCommand } from "../support/command.js";
import type { Containerd } from "../support/containerd.js";
import { TtrpcClient } from "../support/ttrpc-client.js";
import { inTurns, type Runtimes, type Series, series } from "./measure.js";

/** A reply that is no JSON is an address, of version 2. */
function bootstrap(reply: string): { version: number; address: string } {
  return reply.startsWith("{") ? JSON.parse(reply) : { version: 2, address: reply };
}

export async function startAction(containerd: Containerd, use: Runtimes, times: number): Promise<Series[]> {
  const whole = series("shim `start` action", "ms");
  const binaries = bed.binaries(containerd.version);
  const env = {
    ...containerd.env,
    TTRPC_ADDRESS: `${containerd.socket}.ttrpc`,
    GRPC_ADDRESS: containerd.socket,
    NAMESPACE: containerd.namespace,
    MAX_SHIM_VERSION: "2",
    GOMAXPROCS: "2",
  };
  await inTurns("start action", times, async (side, id) => {
    const bundle = join(containerd.base, "bundles", id);
    await mkdir(join(bundle, "rootfs"), { recursive: true });
    await writeFile(join(bundle, "config.json"), JSON.stringify({ ociVersion: "1.0.2", annotations: {} }));
    await runCommand(["mkfifo", join(bundle, "log")]);
    // containerd holds the log open for reading, so that the shim's open does not wait.
    const reader = runCommand(["cat", join(bundle, "log")]);
    const built = use[side] === "io.containerd.runc.v2" ? binaries : bed.built;
    const flags = ["-namespace", containerd.namespace, "-address", containerd.socket];
    const argv = [
      join(built, shimBinary(use[side])),
      ...flags,
      "-publish-binary",
      join(binaries, "containerd"),
      "-id",
      id,
    ];
    const begin = performance.now();
    const { code, stdout, stderr } = await runCommand([...argv, "start"], { cwd: bundle, env });
    whole[side].push(performance.now() - begin);
    if (code !== 0) throw new Error(`${argv.join(" ")} start: ${stdout}${stderr}`);
    const { version, address } = bootstrap(stdout.toString().trim());
    using client = await TtrpcClient.connect(address.replace("unix://", ""));
    const request = ShutdownRequest.encode(ShutdownRequest.fromPartial({ id })).finish();
    const service = `containerd.task.v${version}.Task`;
    // The shim may be gone before it answers.
    const answer = await Promise.race([client.call("Shutdown", request, { service }), client.closed]);
    const refusal = answer as { code?: number; message?: string } | undefined;
    if (refusal?.code) throw new Error(`Shutdown of ${use[side]}: ${refusal.message}`);
    await runCommand([...argv, "-bundle", bundle, "delete"], { cwd: bundle, env });
    await reader;
  });
  return [whole];
}

/** Kept apart: a shim that stays after Shutdown would falsify what is measured next. */
export async function nobodyLeft(count: () => number): Promise<void> {
  await eventually("all shims are gone", () => (count() === 0 ? true : undefined));
}
