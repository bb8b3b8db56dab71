import { VigilError } from "../base/errors.js";
import {
  type Container,
  type Event,
  EventsRequest,
  type InfoResponse,
  type OomReport,
  VigilDefinition,
} from "../gen/vigil/v1/vigil.js";
import type { CallOptions, Connection } from "./connection.js";

export interface EventFilter extends Partial<EventsRequest> {
  readonly signal?: AbortSignal;
}

/** vigil.v1.Vigil of one shim. */
export interface Vigil {
  /**
   * Events in order, each once: when the daemon restarts, the stream goes on after the last event that was seen. It ends when
   * the shim does, or without `follow` after the last event kept.
   */
  events(filter?: EventFilter): AsyncIterable<Event>;
  containers(options?: CallOptions): Promise<Container[]>;
  /** Oldest first; of all containers unless one is named. */
  oomReports(containerId?: string, options?: CallOptions): Promise<OomReport[]>;
  info(options?: CallOptions): Promise<InfoResponse>;
}

export function vigilOf(connection: Connection): Vigil {
  const { fullName, methods } = VigilDefinition;
  return {
    events: (filter = {}) => resumed(connection, filter),
    containers: async (options) => (await connection.unary(fullName, methods.containers, {}, options)).containers,
    oomReports: async (containerId = "", options) =>
      (await connection.unary(fullName, methods.oomReports, { containerId }, options)).reports,
    info: (options) => connection.unary(fullName, methods.info, {}, options),
  };
}

const streamEnded = new VigilError("unavailable", "the event stream ended");

async function* resumed(connection: Connection, { signal, ...filter }: EventFilter): AsyncIterable<Event> {
  const { fullName, methods } = VigilDefinition;
  const request = EventsRequest.fromPartial(filter);
  for (let attempt = 0; ; ) {
    try {
      for await (const event of connection.stream(fullName, methods.events, request, signal)) {
        request.afterSequence = event.sequence;
        attempt = 0;
        yield event;
      }
      // With `follow` a stream ends only because its daemon does: to sleep, or with the shim.
      if (!request.follow || !(await connection.recover(streamEnded, attempt++))) return;
    } catch (error) {
      if (signal?.aborted || !(await connection.recover(VigilError.from(error), attempt++))) return;
    }
  }
}
