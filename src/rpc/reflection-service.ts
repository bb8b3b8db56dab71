import { statusCodes } from "../base/errors.js";
import { type DescriptorFile, descriptorFiles } from "../gen/descriptors.js";
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../gen/grpc/reflection/v1/reflection.js";
import { dialogue, type Method } from "./method.js";

/** Served under both names, the older of which most tools ask first; the messages are the same. */
export const reflectionNames = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

type Answer = NonNullable<ServerReflectionResponse["messageResponse"]>;

/** Server reflection over the descriptors that were generated with the code. */
export function reflectionService(serviceNames: () => Iterable<string>): ReadonlyMap<string, Method> {
  const files = new Map(descriptorFiles.map((file): [string, DescriptorFile] => [file.name, file]));

  /** The file and all it imports: a reader that has asked once need not ask again. */
  const withImports = (name: string, into: Set<DescriptorFile>): Set<DescriptorFile> => {
    const file = files.get(name);
    if (!file || into.has(file)) return into;
    into.add(file);
    for (const dependency of file.dependencies) withImports(dependency, into);
    return into;
  };

  const fileAnswer = (file: DescriptorFile | undefined, asked: string): Answer => {
    if (!file) return failure("not_found", `${asked} is not known`);
    const descriptors = [...withImports(file.name, new Set())].map((one) => Buffer.from(one.descriptor, "base64"));
    return { $case: "fileDescriptorResponse", value: { fileDescriptorProto: descriptors } };
  };

  const answer = ({ messageRequest: asked }: ServerReflectionRequest): Answer => {
    switch (asked?.$case) {
      case "fileByFilename":
        return fileAnswer(files.get(asked.value), asked.value);
      case "fileContainingSymbol":
        return fileAnswer(
          descriptorFiles.find((file) => file.services.includes(asked.value) || file.symbols.includes(asked.value)),
          asked.value,
        );
      case "listServices":
        return {
          $case: "listServicesResponse",
          value: { service: [...serviceNames()].sort().map((name) => ({ name })) },
        };
      case "fileContainingExtension":
      case "allExtensionNumbersOfType":
        return failure("not_found", "there are no extensions");
      case undefined:
        return failure("invalid_argument", "nothing was asked");
    }
  };

  return new Map([
    dialogue(ServerReflectionDefinition.methods.serverReflectionInfo, (request) => ({
      validHost: request.host,
      originalRequest: request,
      messageResponse: answer(request),
    })),
  ]);
}

function failure(code: keyof typeof statusCodes, errorMessage: string): Answer {
  return { $case: "errorResponse", value: { errorCode: statusCodes[code], errorMessage } };
}
