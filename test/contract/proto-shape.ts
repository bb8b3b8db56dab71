// The shape of .proto files on the wire, flattened: one line an element, so that two versions compare as maps.
import { execFileSync } from "node:child_process";
import { fromBinary, isFieldSet } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldOptionsSchema,
  type FileDescriptorProto,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";

const buf = "node_modules/@bufbuild/buf/bin/buf";

/** Full name of a message, field, enum, value, service or method, to all that matters on the wire. */
export type Shape = ReadonlyMap<string, string>;

/** The shapes of files below `root`, which is where their imports start; what they import is read but has no shape here. */
export function readShapes(root: string, paths: readonly string[]): ReadonlyMap<string, Shape> {
  const wanted = paths.flatMap((path) => ["--path", `${root}/${path}`]);
  const set = execFileSync(
    process.execPath,
    [buf, "build", root, ...wanted, "--as-file-descriptor-set", "--exclude-source-info", "-o", "-"],
    { maxBuffer: 64 << 20, stdio: ["ignore", "pipe", "pipe"] },
  );
  const files = new Map(fromBinary(FileDescriptorSetSchema, set).file.map((file) => [file.name, file]));
  return new Map(
    paths.map((path) => {
      const file = files.get(path);
      if (file === undefined) throw new Error(`${path} is not in what buf built of ${root}`);
      return [path, shapeOf(file)];
    }),
  );
}

function shapeOf(file: FileDescriptorProto): Shape {
  const scope = file.package === "" ? "" : `${file.package}.`;
  const services = file.service.flatMap((service): [string, string][] => [
    [`${scope}${service.name}`, "service"],
    ...service.method.map((method): [string, string] => [
      `${scope}${service.name}.${method.name}`,
      `method (${method.clientStreaming ? "stream " : ""}${method.inputType}) returns ` +
        `(${method.serverStreaming ? "stream " : ""}${method.outputType})`,
    ]),
  ]);
  return new Map([
    ...file.messageType.flatMap((message) => messageLines(scope, message)),
    ...file.enumType.flatMap((type) => enumLines(scope, type)),
    ...services,
  ]);
}

function messageLines(scope: string, message: DescriptorProto): [string, string][] {
  const name = `${scope}${message.name}`;
  return [
    [name, "message"],
    ...message.field.map((field): [string, string] => [`${name}.${field.name}`, fieldLine(field, message)]),
    // A map's entry is a message of its own here too: its key and value types are compared like any field's.
    ...message.nestedType.flatMap((nested) => messageLines(`${name}.`, nested)),
    ...message.enumType.flatMap((type) => enumLines(`${name}.`, type)),
  ];
}

function fieldLine(field: FieldDescriptorProto, message: DescriptorProto): string {
  const type = field.typeName === "" ? FieldDescriptorProto_Type[field.type] : field.typeName;
  const oneof = field.oneofIndex === undefined ? undefined : message.oneofDecl[field.oneofIndex]?.name;
  const packed = field.options !== undefined && isFieldSet(field.options, FieldOptionsSchema.field.packed);
  return [
    `field ${field.number}`,
    FieldDescriptorProto_Label[field.label],
    type,
    field.proto3Optional ? "with presence" : oneof === undefined ? "" : `in oneof ${oneof}`,
    packed ? `packed ${field.options?.packed}` : "",
  ]
    .filter((word) => word !== "")
    .join(" ");
}

function enumLines(scope: string, type: EnumDescriptorProto): [string, string][] {
  const name = `${scope}${type.name}`;
  return [
    [name, "enum"],
    ...type.value.map((value): [string, string] => [`${name}.${value.name}`, `value ${value.number}`]),
  ];
}
