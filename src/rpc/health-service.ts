import { VigilError } from "../base/errors.js";
import {
  type HealthCheckResponse,
  HealthDefinition,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../gen/grpc/health/v1/health.js";
import { type Method, question, stream } from "./method.js";

/** grpc.health.v1.Health: a daemon that answers serves; the empty name is the server as a whole. */
export function healthService(serviceNames: () => Iterable<string>): ReadonlyMap<string, Method> {
  const { check, list, watch } = HealthDefinition.methods;
  const known = (service: string): boolean => service === "" || [...serviceNames()].includes(service);
  const serving: HealthCheckResponse = { status: ServingStatus.SERVING };

  async function* watching(service: string, signal: AbortSignal): AsyncGenerator<HealthCheckResponse, void, void> {
    yield known(service) ? serving : { status: ServingStatus.SERVICE_UNKNOWN };
    // The next change would be the end of the daemon, which ends the call.
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  return new Map([
    question(check, ({ service }) => {
      if (!known(service)) throw new VigilError("not_found", `service ${service}`);
      return serving;
    }),
    question(list, () => ({
      statuses: Object.fromEntries(["", ...serviceNames()].map((name) => [name, serving])),
    })),
    stream(watch, ({ service }, signal) => watching(service, signal)),
  ]);
}
