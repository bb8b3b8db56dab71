import { VigilError } from "../base/errors.js";
import { EventsDefinition } from "../gen/containerd/services/events/v1/events.js";
import type { Envelope } from "../gen/containerd/types/event.js";
import { toTimestamp } from "./convert.js";
import { type Method, question, stream } from "./method.js";
import type { EventHistory, KeptEvent } from "./vigil-service.js";

export interface EventSources {
  readonly history: EventHistory & { /** The highest sequence there was. */ readonly last: bigint };
  /** containerd's filters, any of which lets an event through. */
  filter(filters: readonly string[]): (event: KeptEvent) => boolean;
}

const batch = 64;

/** containerd.services.events.v1.Events: this shim's events from now on. It takes none from others. */
export function eventsService({ history, filter }: EventSources): ReadonlyMap<string, Method> {
  const { publish, forward, subscribe } = EventsDefinition.methods;
  const refuse = (): never => {
    throw new VigilError("unimplemented", "a shim takes no events");
  };

  async function* events(filters: readonly string[], signal: AbortSignal): AsyncGenerator<Envelope, void, void> {
    const passes = filter(filters);
    let last = history.last;
    while (!signal.aborted) {
      if (last < history.droppedThrough) {
        throw new VigilError("resource_exhausted", "events came faster than they were read, and are no longer kept");
      }
      const next = history.after(last, batch);
      for (const event of next) {
        last = event.sequence;
        if (!passes(event)) continue;
        const { at, namespace, topic, typeUrl, value } = event;
        yield { timestamp: toTimestamp(at), namespace, topic, event: { typeUrl, value } };
      }
      if (next.length === 0) await history.grown(last, signal);
    }
  }

  return new Map([
    question(publish, refuse),
    question(forward, refuse),
    stream(subscribe, ({ filters }, signal) => events(filters, signal)),
  ]);
}
