import { VigilError } from "../base/errors.js";
import { compileFilters } from "../events/filter.js";
import type { EventHistory } from "../events/history.js";
import { eventField } from "../events/topics.js";
import { EventsDefinition } from "../gen/containerd/services/events/v1/events.js";
import type { Envelope } from "../gen/containerd/types/event.js";
import { toTimestamp } from "./convert.js";
import { type Method, question, stream } from "./method.js";

const batch = 64;

/** containerd.services.events.v1.Events: this shim's events from now on. It takes none from others. */
export function eventsService(history: EventHistory): ReadonlyMap<string, Method> {
  const { publish, forward, subscribe } = EventsDefinition.methods;
  const refuse = (): never => {
    throw new VigilError("unimplemented", "a shim takes no events");
  };

  async function* events(filters: readonly string[], signal: AbortSignal): AsyncGenerator<Envelope, void, void> {
    const passes = compileFilters(filters);
    let last = history.last;
    while (!signal.aborted) {
      if (last < history.droppedThrough) {
        throw new VigilError("resource_exhausted", "events came faster than they were read, and are no longer kept");
      }
      const next = history.after(last, batch);
      for (const event of next) {
        last = event.sequence;
        if (!passes({ field: (path) => eventField(event, path) })) continue;
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
