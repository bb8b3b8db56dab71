import { places } from "../client/places.js";
import { listShims, type ShimRecord } from "../client/records.js";
import type { Container } from "../gen/vigil/v1/vigil.js";
import { withShim } from "./find.js";
import { containerJson } from "./json.js";
import { paint, plain, printJson, printTable } from "./output.js";
import { formatBytes } from "./quantities.js";
import { describeStatus, statusName } from "./status.js";
import type { CommonOptions } from "./verb.js";

/** A shim and what it says of its containers, or why it says nothing. */
interface Answer {
  readonly shim: ShimRecord;
  readonly containers: readonly Container[];
  readonly failure?: string;
}

export async function ps(options: CommonOptions): Promise<void> {
  const shims = listShims(places()).filter((shim) => !options.namespace || shim.namespace === options.namespace);
  const answers = await Promise.all(shims.map(ask));
  if (options.json) {
    printJson(answers.flatMap(toJsonRows), 2);
    return;
  }
  const now = Date.now();
  const header = ["NAME", "NAMESPACE", "STATUS", "PID", "MEMORY LIMIT", "OOM KILLS"];
  await printTable(
    header,
    answers.flatMap((answer) => toRows(answer, now)),
  );
}

async function ask(shim: ShimRecord): Promise<Answer> {
  try {
    return { shim, containers: await withShim(shim, ({ vigil }) => vigil.containers({ timeoutMs: 5_000 })) };
  } catch (error) {
    return { shim, containers: [], failure: (error as Error).message };
  }
}

function toRows({ shim, containers, failure }: Answer, now: number): string[][] {
  if (failure !== undefined) {
    const names = shim.containers.length > 0 ? shim.containers.map(({ id }) => id) : [shim.group];
    const word = shim.alive ? "silent" : "dead";
    return names.map((id) => [plain(id), plain(shim.namespace), paint("red", word), String(shim.pid || "-"), "-", "-"]);
  }
  return containers.map((container) => [
    plain(container.id),
    plain(shim.namespace),
    paintStatus(container, describeStatus(container, now)),
    String(container.pid),
    container.memoryLimit > 0n ? formatBytes(container.memoryLimit) : "none",
    container.oomKills > 0n ? paint("red", String(container.oomKills)) : "0",
  ]);
}

function paintStatus({ status, exitStatus }: Container, words: string): string {
  const name = statusName(status);
  if (name === "running") return paint("green", words);
  return name === "stopped" && exitStatus !== 0 ? paint("yellow", words) : words;
}

function toJsonRows({ shim, containers, failure }: Answer): object[] {
  const where = { socket: shim.socket, shimPid: shim.pid };
  if (failure === undefined) return containers.map((container) => ({ ...containerJson(container), ...where }));
  const status = shim.alive ? "silent" : "dead";
  return shim.containers.map(({ id, bundle }) => ({
    id,
    namespace: shim.namespace,
    bundle,
    status,
    failure,
    ...where,
  }));
}
