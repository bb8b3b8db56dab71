// containerd's events as a gRPC client of another container manager sees them, with the monotonic time of arrival.
import { Client, type ClientReadableStream, credentials } from "@grpc/grpc-js";
import { TaskExit, TaskOOM, TaskStart } from "../../src/gen/containerd/events/task.js";
import { SubscribeRequest } from "../../src/gen/containerd/services/events/v1/events.js";
import { Envelope } from "../../src/gen/containerd/types/event.js";

export interface Arrival {
  readonly topic: string;
  readonly containerId: string;
  readonly pid: number;
  readonly atNs: bigint;
}

export interface Subscriber {
  until(containerId: string, topic: string, limitMs: number): Promise<Arrival>;
  of(containerId: string): readonly Arrival[];
  close(): void;
}

function read(envelope: Envelope, atNs: bigint): Arrival | undefined {
  const body = envelope.event?.value ?? new Uint8Array();
  const { topic } = envelope;
  if (topic === "/tasks/oom") return { topic, containerId: TaskOOM.decode(body).containerId, pid: 0, atNs };
  if (topic !== "/tasks/start" && topic !== "/tasks/exit") return undefined;
  const { containerId, pid } = topic === "/tasks/start" ? TaskStart.decode(body) : TaskExit.decode(body);
  return { topic, containerId, pid, atNs };
}

export function subscribe(socket: string): Subscriber {
  const client = new Client(`unix://${socket}`, credentials.createInsecure());
  const stream: ClientReadableStream<Envelope> = client.makeServerStreamRequest(
    "/containerd.services.events.v1.Events/Subscribe",
    (request: SubscribeRequest) => Buffer.from(SubscribeRequest.encode(request).finish()),
    (bytes) => Envelope.decode(bytes),
    SubscribeRequest.fromPartial({ filters: ['topic~="/tasks/.*"'] }),
  );
  const arrivals: Arrival[] = [];
  const waiting = new Set<() => void>();
  let failure: Error | undefined;
  stream.on("data", (envelope: Envelope) => {
    const arrival = read(envelope, process.hrtime.bigint());
    if (arrival === undefined) return;
    arrivals.push(arrival);
    for (const wake of [...waiting]) wake();
  });
  let closed = false;
  stream.on("error", (error) => {
    if (!closed) failure = error;
  });
  const find = (containerId: string, topic: string) =>
    arrivals.find((arrival) => arrival.containerId === containerId && arrival.topic === topic);
  return {
    of: (containerId) => arrivals.filter((arrival) => arrival.containerId === containerId),
    until: (containerId, topic, limitMs) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          reject(failure ?? new Error(`no ${topic} of ${containerId} within ${limitMs} ms`));
        }, limitMs);
        const look = () => {
          const found = find(containerId, topic);
          if (found === undefined) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    close: () => {
      closed = true;
      stream.cancel();
      client.close();
    },
  };
}
