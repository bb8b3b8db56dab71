import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Options } from "../../src/gen/containerd/runc/v1/oci.js";
import { RuntimeInfo } from "../../src/gen/containerd/types/introspection.js";
import { Any } from "../../src/gen/google/protobuf/any.js";
import { Options as GenericOptions } from "../../src/gen/runtimeoptions/v1/api.js";
import { bed } from "../support/bed.js";

const shim = join(bed.built, "containerd-shim-vigil-v1");
const libdir = join(bed.built, "../lib/vigil");

interface Features {
  readonly mountOptions: readonly string[];
  readonly linux: { readonly mountExtensions: { readonly idmap: { readonly enabled: boolean } } };
}

let empty: string;
beforeEach(() => {
  empty = mkdtempSync(join(tmpdir(), "vi-"));
});
afterEach(() => rmSync(empty, { recursive: true }));

describe("-info", () => {
  test("names the runtime, and hands on what vigil-runtime says of itself", () => {
    const info = RuntimeInfo.decode(execFileSync(shim, ["-info"], { input: "" }));
    expect(info).toMatchObject({ name: "io.containerd.vigil.v1" });
    expect(info.features?.typeUrl).toBe("types.containerd.io/opencontainers/runtime-spec/1/features/Features");
    const features: Features = JSON.parse(Buffer.from(info.features?.value ?? []).toString());
    expect(features).toEqual(
      JSON.parse(execFileSync(join(bed.top, "build/bin/vigil-runtime"), ["features"], { encoding: "utf8" })),
    );
    // What containerd's CRI plugin looks for before it offers recursively read-only mounts and user namespaces.
    expect(features.mountOptions).toContain("rro");
    expect(features.linux.mountExtensions.idmap.enabled).toBe(true);
  });

  const optionsOf = (typeUrl: string, value: Uint8Array) => Any.encode({ typeUrl, value }).finish();
  const named = (binaryName: string) =>
    optionsOf(Options.$type, Options.encode(Options.fromPartial({ binaryName })).finish());
  const generic = (fields: Partial<GenericOptions>) =>
    optionsOf(GenericOptions.$type, GenericOptions.encode(GenericOptions.fromPartial(fields)).finish());
  const featuresOf = (input: Uint8Array) => {
    const { options, features } = RuntimeInfo.decode(execFileSync(shim, ["-info"], { input, stdio: "pipe" }));
    expect(Any.encode(options ?? Any.fromPartial({})).finish()).toEqual(input);
    return features && JSON.parse(Buffer.from(features.value).toString());
  };

  test("of the runtime that the options name it hands on what that one says", () => {
    const other = join(empty, "other");
    writeFileSync(other, '#!/bin/sh\n[ "$1" = features ] && echo \'{"ociVersionMax": "9.9"}\'\n', { mode: 0o755 });
    const said = { ociVersionMax: "9.9" };
    expect(featuresOf(named(other))).toEqual(said);
    const table = `SystemdCgroup = false\n  BinaryName = '${other}'\n[more]\nBinaryName = "no"\n`;
    expect(featuresOf(generic({ configBody: Buffer.from(table) }))).toEqual(said);
    const configPath = join(empty, "options.toml");
    writeFileSync(configPath, `BinaryName="${other}"`);
    expect(featuresOf(generic({ configPath }))).toEqual(said);
  });

  test("one that says nothing has none; one that is not there is a failure; without a name it is vigil's own", () => {
    expect(featuresOf(named("false"))).toBeUndefined();
    expect(featuresOf(named("echo"))).toBeUndefined();
    expect(() => featuresOf(named("no-such-runtime"))).toThrow(
      'exec: "no-such-runtime": executable file not found in $PATH',
    );
    expect(() => featuresOf(generic({ configPath: join(empty, "absent") }))).toThrow("No such file or directory");
    const own = JSON.parse(readFileSync(join(libdir, "features.json"), "utf8"));
    expect(featuresOf(named(""))).toEqual(own);
    expect(featuresOf(generic({ configBody: Buffer.from("[more]\nBinaryName = 'false'\n") }))).toEqual(own);
  });

  test("says which file is missing", () => {
    const broken = () => execFileSync(shim, ["-info"], { input: "", env: { VIGIL_LIBDIR: empty }, stdio: "pipe" });
    expect(broken).toThrow(`${empty}/features.json: No such file or directory`);
  });

  test("the copy beside the programs is that of this build", () => {
    const { annotations } = JSON.parse(readFileSync(join(libdir, "features.json"), "utf8"));
    const { version } = JSON.parse(readFileSync(join(bed.top, "package.json"), "utf8"));
    expect(annotations).toMatchObject({ "io.vigil.version": version });
  });
});
