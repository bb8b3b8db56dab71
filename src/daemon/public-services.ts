import packageJson from "../../package.json" with { type: "json" };
import { compileFilters } from "../events/filter.js";
import type { EventHistory } from "../events/history.js";
import type { Outbox } from "../events/outbox.js";
import type { Hello } from "../host/core/records.js";
import type { OomHistory } from "../oom/history.js";
import { eventsService } from "../rpc/events-service.js";
import { healthService } from "../rpc/health-service.js";
import type { Method, Services } from "../rpc/method.js";
import { reflectionNames, reflectionService } from "../rpc/reflection-service.js";
import { vigilService } from "../rpc/vigil-service.js";
import type { Registry } from "../task/registry.js";
import { containerView } from "./container-view.js";

export interface PublicParts {
  readonly tasks: ReadonlyMap<string, Method>;
  readonly sandboxes: ReadonlyMap<string, Method>;
  readonly hello: Hello;
  readonly history: EventHistory;
  readonly registry: Registry;
  readonly reports: OomHistory;
  readonly outbox: Outbox;
}

/** What gRPC clients are offered. */
export function publicServices({ tasks, sandboxes, hello, history, registry, reports, outbox }: PublicParts): Services {
  const { namespace, group, address, corePid, epoch, daemonRestarts } = hello;
  const names = (): Iterable<string> => services.keys();
  const reflection = reflectionService(names);
  const services: Services = new Map<string, ReadonlyMap<string, Method>>([
    ["containerd.task.v3.Task", tasks],
    ["containerd.runtime.sandbox.v1.Sandbox", sandboxes],
    ["containerd.services.events.v1.Events", eventsService({ history, filter: compileFilters })],
    [
      "vigil.v1.Vigil",
      vigilService({
        namespace,
        events: history,
        containers: () => [...registry.containers].map(containerView),
        oomReports: async (containerId) => reports.list(containerId),
        info: () => ({
          version: packageJson.version,
          corePid,
          daemonPid: process.pid,
          epoch: BigInt(epoch),
          group,
          address,
          outboxDepth: BigInt(outbox.depth),
          daemonRestarts: BigInt(daemonRestarts),
          containers: registry.size,
          capabilities: ["events.resume", "oom.reports", "request-id"],
        }),
      }),
    ],
    ["grpc.health.v1.Health", healthService(names)],
    ...reflectionNames.map((name) => [name, reflection] as const),
  ]);
  return services;
}
