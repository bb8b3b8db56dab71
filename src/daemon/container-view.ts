import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readKernelFile } from "../host/cgroup/files.js";
import { placeOf } from "../host/cgroup/placement.js";
import { placementIn } from "../host/runtime/handle.js";
import type { ContainerView } from "../rpc/vigil-service.js";
import type { Container } from "../task/container.js";

/** A container as vigil.v1 shows it: what the model knows, and what is read from its bundle and cgroup now. */
export function containerView(container: Container): ContainerView {
  const { id, bundle, init, execs, createdAt, startedAt, oomKills } = container;
  return {
    id,
    bundle,
    stdio: init.stdio,
    pid: init.pid,
    state: init.status,
    createdAt,
    startedAt,
    exitedAt: init.exit?.at ?? 0n,
    exitStatus: init.exit?.status ?? 0,
    oomKills,
    memoryLimit: memoryLimitOf(container),
    annotations: annotationsOf(bundle),
    execs: [...execs.values()].map((exec) => ({
      execId: exec.execId,
      pid: exec.pid,
      state: container.statusOf(exec),
      exitStatus: exec.exit?.status ?? 0,
    })),
  };
}

/** v1 has no word for "no limit", but the largest page count. */
const unlimitedV1 = 1n << 62n;

function memoryLimitOf(container: Container): bigint {
  const place = placeOf(placementIn(container.ref), "memory");
  const file = place?.version === 1 ? "memory.limit_in_bytes" : "memory.max";
  const text = place && readKernelFile(join(place.directory, file))?.trim();
  if (!text || !/^\d+$/.test(text)) return 0n;
  const limit = BigInt(text);
  return limit >= unlimitedV1 ? 0n : limit;
}

/** The bundle is the manager's and may be gone before the container is: then there is nothing to show. */
function annotationsOf(bundle: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(join(bundle, "config.json"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  const { annotations = {} } = JSON.parse(text) as { readonly annotations?: Readonly<Record<string, unknown>> };
  return Object.fromEntries(
    Object.entries(annotations).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}
