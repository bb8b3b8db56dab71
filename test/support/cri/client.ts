// The kubelet's side of the container runtime interface.
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  create,
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  isMessage,
  toBinary,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { bed, seconds } from "../bed.js";

/** A message as plain fields, named as protobuf's JSON form names them. */
export type Fields = Readonly<Record<string, unknown>>;

const here = dirname(fileURLToPath(import.meta.url));

function describe(): FileRegistry {
  const buf = join(bed.top, "node_modules/@bufbuild/buf/bin/buf");
  const set = execFileSync(process.execPath, [buf, "build", here, "--as-file-descriptor-set", "-o", "-"], {
    cwd: bed.top,
    stdio: ["ignore", "pipe", "pipe"],
  });
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, set));
}

export class CriClient implements Disposable {
  readonly #client: Client;
  readonly #registry = describe();

  /** `socket`: containerd's. */
  constructor(socket: string) {
    this.#client = new Client(`unix://${socket}`, credentials.createInsecure());
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /** `method`: Service/Method. */
  async call<Answer>(method: string, request: Fields): Promise<Answer> {
    const [service = "", name = ""] = method.split("/");
    const desc = this.#registry.getService(`runtime.v1.${service}`)?.methods.find((found) => found.name === name);
    if (!desc) throw new Error(`runtime.proto has no ${method}`);
    const encode = (fields: Fields) => Buffer.from(toBinary(desc.input, create(desc.input, fields)));
    const decode = (bytes: Buffer) => plain(fromBinary<DescMessage>(desc.output, bytes));
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        `/runtime.v1.${method}`,
        encode,
        decode,
        request,
        patient(),
        { deadline: Date.now() + seconds(60) },
        (error, answer) => {
          if (error) reject(error);
          else resolve(answer as Answer);
        },
      );
    });
  }
}

/** A containerd that is just coming back is waited for. */
function patient(): Metadata {
  const metadata = new Metadata();
  metadata.setOptions({ waitForReady: true });
  return metadata;
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isMessage(value)) return value;
  const fields = Object.entries(value).filter(([name]) => !name.startsWith("$"));
  return Object.fromEntries(fields.map(([name, field]) => [name, plain(field)]));
}
