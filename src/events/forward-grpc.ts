import type { Client } from "@grpc/grpc-js";
import { errorCodeOf, VigilError } from "../base/errors.js";
import type { Forwarder } from "./forwarder.js";

const path = "/containerd.services.events.v1.Events/Forward";
const answerMs = 5_000;

/** Forward over gRPC, for a manager that has no ttrpc socket. */
export function forwardOverGrpc(address: string): Forwarder {
  let client: Client | undefined;

  const connected = async (): Promise<Client> => {
    if (client) return client;
    const grpc = await import("@grpc/grpc-js");
    const target = `unix://${address.replace(/^unix:\/\//, "")}`;
    client = new grpc.Client(target, grpc.credentials.createInsecure(), { "grpc.enable_channelz": 0 });
    return client;
  };

  return {
    async forward(entry) {
      const to = await connected();
      await new Promise<void>((resolve, reject) => {
        to.makeUnaryRequest(
          path,
          (bytes: Uint8Array) => Buffer.from(bytes),
          (bytes: Buffer) => bytes,
          entry,
          { deadline: Date.now() + answerMs },
          (error) =>
            error ? reject(new VigilError(errorCodeOf(error.code), error.details, { cause: error })) : resolve(),
        );
      });
    },
    close() {
      client?.close();
    },
  };
}
