import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  CreateOptions,
  CheckpointOptions as LinuxCheckpointOptions,
} from "../../../src/gen/containerd/linux/runc/runc.js";
import { CheckpointOptions, Options } from "../../../src/gen/containerd/runc/v1/oci.js";
import { CreateTaskRequest } from "../../../src/gen/containerd/task/v3/shim.js";
import { Options as GenericOptions } from "../../../src/gen/runtimeoptions/v1/api.js";
import {
  checkId,
  fromTimestamp,
  toCreateSpec,
  toJsonText,
  toRuntimeOptions,
  toTimestamp,
} from "../../../src/rpc/convert.js";
import { toCheckpointSpec } from "../../../src/rpc/convert-checkpoint.js";

const none = await toRuntimeOptions(undefined);

describe("runtime options", () => {
  test.each(["", "type.googleapis.com/"])("of containerd, with the prefix %j", async (prefix) => {
    const value = Options.encode(
      Options.fromPartial({ noPivotRoot: true, ioUid: 7, systemdCgroup: true, shimCgroup: "/s" }),
    ).finish();
    expect(await toRuntimeOptions({ typeUrl: `${prefix}containerd.runc.v1.Options`, value })).toEqual({
      ...none,
      noPivotRoot: true,
      ioUid: 7,
      systemdCgroup: true,
      shimCgroup: "/s",
    });
  });

  test("of containerd 1.7's clients for a runtime of another name", async () => {
    const value = CreateOptions.encode(CreateOptions.fromPartial({ noNewKeyring: true, ioGid: 9 })).finish();
    const options = await toRuntimeOptions({ typeUrl: "containerd.linux.runc.CreateOptions", value });
    expect(options).toEqual({ ...none, noNewKeyring: true, ioGid: 9 });
  });

  test("of the CRI configuration, which come as TOML", async () => {
    const configBody = Buffer.from('SystemdCgroup = true\nBinaryName = "/usr/bin/crun"\nIoUid = 5\nOther = [1]\n');
    const value = GenericOptions.encode(GenericOptions.fromPartial({ configBody })).finish();
    const options = await toRuntimeOptions({ typeUrl: "runtimeoptions.v1.Options", value });
    expect(options).toEqual({ ...none, systemdCgroup: true, binaryName: "/usr/bin/crun", ioUid: 5 });
  });

  test("of a file that a client names", async () => {
    const directory = mkdtempSync(join(tmpdir(), "vigil-options-"));
    const configPath = join(directory, "runtime.toml");
    writeFileSync(configPath, 'BinaryName = "crun"\nRoot = "/run/other"\n');
    const encode = (path: string) => GenericOptions.encode(GenericOptions.fromPartial({ configPath: path })).finish();
    const read = (path: string) => toRuntimeOptions({ typeUrl: "runtimeoptions.v1.Options", value: encode(path) });
    expect(await read(configPath)).toEqual({ ...none, binaryName: "crun", root: "/run/other" });
    rmSync(directory, { recursive: true });
    await expect(read(configPath)).rejects.toMatchObject({ code: "invalid_argument" });
  });

  test("none at all", async () => {
    expect(none).toMatchObject({ noPivotRoot: false, binaryName: "", ioUid: 0 });
    expect(await toRuntimeOptions({ typeUrl: "runtimeoptions.v1.Options", value: new Uint8Array(0) })).toEqual(none);
  });

  test.each([
    ["of a type that nobody knows", "x.Options", new Uint8Array(0), '"x.Options"'],
    ["that are no message", "containerd.runc.v1.Options", Buffer.from([0xff]), "containerd.runc.v1.Options"],
    [
      "whose TOML is none",
      "runtimeoptions.v1.Options",
      GenericOptions.encode(GenericOptions.fromPartial({ configBody: Buffer.from("=") })).finish(),
      "runtimeoptions",
    ],
  ])("%s are refused by name", async (_, typeUrl, value, name) => {
    const refused = expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(name) });
    await expect(toRuntimeOptions({ typeUrl, value })).rejects.toEqual(refused);
  });
});

describe("ids", () => {
  test.each(["a", "t1", "A.b_c-d", "9", "x".repeat(76)])("%j is fine", (id) => expect(checkId("id", id)).toBe(id));
  test.each(["", "-a", "a-", "a--b", "a/b", "..", ".a", "a b", "a\n", "ä", "x".repeat(77)])("%j is refused", (id) => {
    expect(() => checkId("id", id)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});

test("times keep their nanoseconds", () => {
  expect(toTimestamp(1_700_000_000_123_456_789n)).toEqual({ seconds: 1_700_000_000n, nanos: 123_456_789 });
  expect(fromTimestamp(toTimestamp(1_700_000_000_123_456_789n))).toBe(1_700_000_000_123_456_789n);
  expect(toTimestamp(0n)).toBeUndefined();
  expect(fromTimestamp(undefined)).toBe(0n);
});

test("a container from a checkpoint, but from no other's increment", () => {
  const request = (checkpoint: string, parentCheckpoint = "") =>
    CreateTaskRequest.fromPartial({ id: "a", checkpoint, parentCheckpoint });
  expect(toCreateSpec(request("/c"), none)).toMatchObject({ checkpoint: "/c" });
  expect(toCreateSpec(request(""), none)).toMatchObject({ checkpoint: "" });
  expect(() => toCreateSpec(request("/c", "/p"), none)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
});

describe("a checkpoint", () => {
  const fields = {
    exit: true,
    openTcp: true,
    externalUnixSockets: true,
    terminal: true,
    fileLocks: true,
    emptyNamespaces: ["network"],
    cgroupsMode: "soft",
  };
  const read = (path: string, typeUrl = "", value: Uint8Array = new Uint8Array(0)) =>
    toCheckpointSpec({ id: "a", path, options: { typeUrl, value } });

  test.each([
    ["containerd.runc.v1.CheckpointOptions", CheckpointOptions],
    ["type.googleapis.com/containerd.linux.runc.CheckpointOptions", LinuxCheckpointOptions],
  ])("with options of %s", (typeUrl, codec) => {
    const value = codec.encode(codec.fromPartial({ ...fields, imagePath: "/i", workPath: "/w" })).finish();
    expect(read("/p", typeUrl, value)).toEqual({ ...fields, imageDirectory: "/p", workDirectory: "/w" });
    expect(read("", typeUrl, value)).toMatchObject({ imageDirectory: "/i" });
  });

  test("without any leaves the container running", () => {
    expect(read("/p")).toMatchObject({ imageDirectory: "/p", workDirectory: "", exit: false, emptyNamespaces: [] });
  });

  const relative = CheckpointOptions.encode(CheckpointOptions.fromPartial({ workPath: "w" })).finish();
  test.each([
    ["", "", new Uint8Array(0), 'path "" is not absolute'],
    ["/p", "containerd.runc.v1.CheckpointOptions", relative, 'work_path "w" is not absolute'],
    ["/p", "x.Y", new Uint8Array(0), 'checkpoint options of unknown type "x.Y"'],
    ["/p", "containerd.runc.v1.CheckpointOptions", Buffer.from([0xff]), "malformed checkpoint options"],
  ])("%j with %s is refused", (path, typeUrl, value, message) => {
    expect(() => read(path, typeUrl, value)).toThrow(
      expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(message) }),
    );
  });
});

test.each([
  [undefined, "spec is missing"],
  [{ typeUrl: "x", value: new Uint8Array(0) }, "spec is missing"],
  [{ typeUrl: "x", value: Buffer.from([0xff]) }, "spec is not UTF-8"],
])("%j is no JSON text", (any, message) => {
  expect(() => toJsonText("spec", any)).toThrow(expect.objectContaining({ code: "invalid_argument", message }));
});
