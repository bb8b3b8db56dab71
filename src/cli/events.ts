import { VigilError } from "../base/errors.js";
import { type Places, places } from "../client/places.js";
import { listShims, type ShimRecord } from "../client/records.js";
import { watchShims } from "../client/watch-shims.js";
import type { Event } from "../gen/vigil/v1/vigil.js";
import { withShim } from "./find.js";
import { eventJson } from "./json.js";
import { paint, plain, print, printJson } from "./output.js";
import { describeEvent } from "./task-events.js";
import { clockTime, milliseconds } from "./times.js";
import type { CommonOptions } from "./verb.js";

export interface EventsOptions extends CommonOptions {
  readonly follow?: boolean;
  readonly sinceSeq?: bigint;
  readonly container?: readonly string[];
  readonly topic?: readonly string[];
}

export async function events(options: EventsOptions): Promise<void> {
  const at = places();
  const show = (event: Event) => (options.json ? printJson(eventJson(event)) : print(eventLine(event)));
  if (options.follow) await followAll(at, options, show);
  else await printKept(at, options, show);
}

function wantedShims(at: Places, { namespace }: EventsOptions): ShimRecord[] {
  return listShims(at).filter((shim) => shim.alive && (!namespace || shim.namespace === namespace));
}

async function printKept(at: Places, options: EventsOptions, show: (event: Event) => void): Promise<void> {
  const kept: Event[] = [];
  await Promise.all(wantedShims(at, options).map((shim) => readEvents(shim, options, (event) => kept.push(event))));
  // Within a shim the sequence is the order; between shims only the time is.
  const when = ({ timestamp }: Event) => milliseconds(timestamp) ?? 0;
  for (const event of kept.sort((a, b) => when(a) - when(b))) show(event);
}

/** Every shim there is and every one that comes, until the person ends it. */
async function followAll(at: Places, options: EventsOptions, show: (event: Event) => void): Promise<void> {
  const followed = new Set<string>();
  const { promise, reject } = deferred();
  const look = () => {
    for (const shim of wantedShims(at, options)) {
      // A path may serve one shim after another; with the process it is one.
      const key = `${shim.socket} ${shim.pid}`;
      if (followed.has(key)) continue;
      followed.add(key);
      readEvents(shim, options, show).catch(reject);
    }
  };
  const stop = watchShims(at, look);
  try {
    look();
    await promise;
  } finally {
    stop();
  }
}

function deferred(): { promise: Promise<never>; reject(reason: unknown): void } {
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<never>((_, fail) => {
    reject = fail;
  });
  return { promise, reject };
}

async function readEvents(shim: ShimRecord, options: EventsOptions, take: (event: Event) => void): Promise<void> {
  const { container = [], topic = [], sinceSeq = 0n, follow = false } = options;
  const filter = { containers: [...container], topics: [...topic], afterSequence: sinceSeq, follow };
  for (;;) {
    try {
      await withShim(shim, async ({ vigil }) => {
        for await (const event of vigil.events(filter)) take(event);
      });
      return;
    } catch (error) {
      const { code, message } = VigilError.from(error);
      // Its records were read just before it ended.
      if (code === "unavailable") return;
      const told = `${shim.namespace}/${shim.group}: ${message}`;
      if (code !== "out_of_range") throw new VigilError(code, told, { cause: error });
      if (!follow) throw new VigilError(code, `${told}; leave out --since-seq for all that are kept`, { cause: error });
      // Nothing that was shown is among those still kept.
      process.stderr.write(`vigil: ${told}; those between are lost\n`);
      filter.afterSequence = 0n;
    }
  }
}

function eventLine({ timestamp, namespace, containerId, topic, event, sequence }: Event): string {
  const name = topic.replace(/^\/tasks\//, "");
  const colour = name === "oom" ? "red" : "cyan";
  const where = plain(`${namespace}/${containerId}`);
  const line = `${paint("dim", `${clockTime(timestamp)} #${sequence}`)} ${where} ${paint(colour, plain(name))}`;
  const words = plain(describeEvent(event));
  return words ? `${line} ${words}` : line;
}
