import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RuntimeInfo } from "../../src/gen/containerd/types/introspection.js";
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
