import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { VigilError } from "../base/errors.js";
import { socketPath } from "./records.js";

export interface ShimCommand {
  /** Path of `containerd-shim-vigil-v1`. */
  readonly binary: string;
  readonly namespace: string;
  readonly id: string;
  /** Absolute; holds `config.json`. */
  readonly bundle: string;
  readonly debug?: boolean;
}

// A start takes tens of milliseconds and ends by itself; these bound a machine that is out of memory or disk.
const startTimeoutMs = 60_000;
const deleteTimeoutMs = 30_000;

/** Starts a shim, or finds the one of the container's group; resolves with the path of its gRPC socket. */
export async function startShim(command: ShimCommand): Promise<string> {
  const output = await runAction(command, "start", startTimeoutMs);
  const reply = parseReply(output.toString());
  if (reply.protocol !== "grpc") {
    throw new VigilError("failed_precondition", `${command.binary} answers ${reply.protocol}, not gRPC: is it older?`);
  }
  return socketPath(reply.address);
}

/** Clears away what a shim left of a container: processes, cgroups, mounts, records. Works without the shim's help. */
export async function deleteAfterShim(command: ShimCommand): Promise<void> {
  await runAction(command, "delete", deleteTimeoutMs);
}

function parseReply(text: string): { address: string; protocol: string } {
  try {
    const { address, protocol } = JSON.parse(text) as { address?: unknown; protocol?: unknown };
    if (typeof address === "string" && typeof protocol === "string")
      return { address, protocol: protocol.toLowerCase() };
  } catch (cause) {
    throw new VigilError("internal", `the shim's reply to start is not JSON: ${text.trim() || "(nothing)"}`, { cause });
  }
  throw new VigilError("internal", `the shim's reply to start names no address: ${text.trim()}`);
}

function runAction(command: ShimCommand, action: "start" | "delete", timeoutMs: number): Promise<Buffer> {
  const { binary, namespace, id, bundle } = command;
  const args = ["-namespace", namespace, "-id", id, "-address", "", "-publish-binary", "", "-bundle", bundle];
  const child = spawn(binary, [...args, ...(command.debug ? ["-debug"] : []), action], {
    // A bundle may be gone before its container is.
    cwd: existsSync(bundle) ? bundle : "/",
    env: { ...process.env, VIGIL_PROTOCOL: "grpc" },
    // A group of its own: what a terminal sends to this program's group is not meant for the shim.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.once("error", (cause) => {
      clearTimeout(timer);
      reject(new VigilError("internal", `cannot run ${binary} in ${bundle}: ${cause.message}`, { cause }));
    });
    child.once("close", (status, signal) => {
      clearTimeout(timer);
      if (status === 0) return resolve(Buffer.concat(out));
      const words = Buffer.concat([...err, ...out])
        .toString()
        .trim();
      const end = signal === "SIGKILL" ? `killed, perhaps after ${timeoutMs} ms` : `exit ${status ?? signal}`;
      reject(new VigilError("internal", `${binary} ${action} failed (${end}): ${words || "it said nothing"}`));
    });
  });
}
