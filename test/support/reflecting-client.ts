// A gRPC client that knows nothing of its server: it asks the reflection service for descriptors, as grpcurl does.
import {
  create,
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  toBinary,
} from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Client, type ClientReadableStream, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { ServerReflectionRequest, ServerReflectionResponse } from "../../src/gen/grpc/reflection/v1/reflection.js";

const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** A message as plain fields, named as protobuf's JSON form names them. */
export type Fields = Record<string, unknown>;

const identity = (bytes: Buffer) => bytes;

export class ReflectingClient implements Disposable {
  readonly #client: Client;
  #registry: FileRegistry | undefined;

  constructor(socket: string) {
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure());
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  async services(): Promise<string[]> {
    const { messageResponse } = await this.#reflect({ $case: "listServices", value: "" });
    if (messageResponse?.$case !== "listServicesResponse") throw new Error("no list of services");
    return messageResponse.value.service.map(({ name }) => name);
  }

  /** One unary call. */
  async call(service: string, method: string, request: Fields, headers: Record<string, string> = {}): Promise<Fields> {
    const desc = await this.#method(service, method);
    const bytes = toBinary(desc.input, create(desc.input, request));
    const metadata = patient(headers);
    const reply = await new Promise<Buffer>((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/${service}/${method}`,
        identity,
        identity,
        Buffer.from(bytes),
        metadata,
        (error, answer) => {
          if (error) reject(error);
          else resolve(answer as Buffer);
        },
      );
    });
    return plain(fromBinary(desc.output, reply));
  }

  /** A server stream. The caller cancels it. */
  async stream(
    service: string,
    method: string,
    request: Fields,
    onMessage: (message: Fields) => void,
  ): Promise<ClientReadableStream<Buffer>> {
    const desc = await this.#method(service, method);
    const bytes = Buffer.from(toBinary(desc.input, create(desc.input, request)));
    const stream = this.#client.makeServerStreamRequest(`/${service}/${method}`, identity, identity, bytes, patient());
    stream.on("data", (reply: Buffer) => onMessage(plain(fromBinary(desc.output, reply))));
    stream.on("error", (error: ServiceError) => {
      if (error.code !== 1) throw error; // cancelled by ourselves
    });
    return stream;
  }

  async #method(service: string, method: string): Promise<DescMethod> {
    if (this.#registry?.getService(service) === undefined) this.#registry = await this.#load();
    const desc = this.#registry.getService(service)?.methods.find(({ name }) => name === method);
    if (!desc) throw new Error(`the server does not describe ${service}/${method}`);
    return desc;
  }

  /** Everything that the server describes, whole files first come first. */
  async #load(): Promise<FileRegistry> {
    const files = new Map<string, FileDescriptorProto>();
    for (const symbol of await this.services()) {
      const { messageResponse } = await this.#reflect({ $case: "fileContainingSymbol", value: symbol });
      if (messageResponse?.$case !== "fileDescriptorResponse") throw new Error(`no descriptor of ${symbol}`);
      for (const bytes of messageResponse.value.fileDescriptorProto) {
        const file = fromBinary(FileDescriptorProtoSchema, bytes);
        files.set(file.name, file);
      }
    }
    for (let missing = this.#missing(files); missing.length > 0; missing = this.#missing(files)) {
      for (const name of missing) {
        const { messageResponse } = await this.#reflect({ $case: "fileByFilename", value: name });
        if (messageResponse?.$case !== "fileDescriptorResponse") throw new Error(`no file ${name}`);
        for (const bytes of messageResponse.value.fileDescriptorProto) {
          const file = fromBinary(FileDescriptorProtoSchema, bytes);
          files.set(file.name, file);
        }
      }
    }
    return createFileRegistry(create(FileDescriptorSetSchema, { file: inDependencyOrder(files) }));
  }

  #missing(files: ReadonlyMap<string, FileDescriptorProto>): string[] {
    return [...files.values()].flatMap(({ dependency }) => dependency).filter((name) => !files.has(name));
  }

  #reflect(messageRequest: NonNullable<ServerReflectionRequest["messageRequest"]>): Promise<ServerReflectionResponse> {
    return new Promise((resolve, reject) => {
      const stream = this.#client.makeBidiStreamRequest(
        reflection,
        (request: ServerReflectionRequest) => Buffer.from(ServerReflectionRequest.encode(request).finish()),
        (bytes: Buffer) => ServerReflectionResponse.decode(bytes),
        patient(),
      );
      stream.on("data", (response: ServerReflectionResponse) => {
        resolve(response);
        stream.end();
      });
      stream.on("error", reject);
      stream.write({ host: "", messageRequest });
    });
  }
}

/** A daemon that has just died takes its connections along: the call waits for the next one (gRPC's wait-for-ready). */
function patient(headers: Record<string, string> = {}): Metadata {
  const metadata = Metadata.fromHttp2Headers(headers);
  metadata.setOptions({ waitForReady: true });
  return metadata;
}

function plain(message: object): Fields {
  return Object.fromEntries(Object.entries(message).filter(([name]) => !name.startsWith("$")));
}

function inDependencyOrder(files: ReadonlyMap<string, FileDescriptorProto>): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const visit = (file: FileDescriptorProto): void => {
    if (ordered.has(file)) return;
    for (const name of file.dependency) {
      const dependency = files.get(name);
      if (dependency) visit(dependency);
    }
    ordered.add(file);
  };
  for (const file of files.values()) visit(file);
  return [...ordered];
}
