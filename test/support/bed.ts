// Where the test bed keeps things, and what this run was told by its environment.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export type Version = "2.1" | "1.7";
export const allVersions: readonly Version[] = ["2.1", "1.7"];

export const stockRuntime = "io.containerd.runc.v2";

const top = join(dirname(fileURLToPath(import.meta.url)), "../..");
const cache = process.env.VIGIL_CACHE ?? join(top, ".cache");

const built = process.env.VIGIL_BUILT ?? join(top, "build/bin");

const ownRuntime = "vigil-runtime";
const wishedRuntime = process.env.VIGIL_E2E_OCI ?? "";
const ociPaths: Readonly<Record<string, string>> = {
  crun: join(top, "test/e2e/fixtures/crun"),
  [ownRuntime]: join(built, ownRuntime),
};
const ociRuntime = ociPaths[wishedRuntime] ?? wishedRuntime;

export const bed = {
  top,
  cache,
  rootfs: join(cache, "rootfs"),
  binaries: (version: Version) => join(cache, `containerd-${version}`, "bin"),
  /** The newest packaged release of another OCI runtime; bed.sh runtimes puts it there. */
  newest: (name: string) => join(cache, "runtimes", name),
  /** VIGIL_BUILT: another build, such as the one with sanitizers. */
  built,
  /** The runtime under test; naming the stock one proves the harness against itself. */
  runtime: process.env.VIGIL_E2E_RUNTIME ?? "io.containerd.vigil.v1",
  /** Another OCI runtime for the shim under test, in place of its own: BinaryName. */
  ociRuntime,
  /** Whether anything of ours is under test: the shim, or the OCI runtime behind the stock one. */
  ours: (runtime: string, oci: string) => runtime !== stockRuntime || oci === ociPaths[ownRuntime],
  /** And for the stock shim that it is compared with; our own is compared with runc. */
  referenceOci: wishedRuntime === ownRuntime ? "" : ociRuntime,
  /** Emulated machines are slower by this factor; every time limit is stretched by it. */
  slowness: Number(process.env.VIGIL_SLOWNESS ?? "1"),
};

/** The versions this run is for: VIGIL_E2E_CONTAINERD is one of them or "all". */
export function chosenVersions(): readonly Version[] {
  const wish = process.env.VIGIL_E2E_CONTAINERD ?? "all";
  if (wish === "all") return allVersions;
  const chosen = allVersions.filter((version) => version === wish);
  if (chosen.length === 0) throw new Error(`VIGIL_E2E_CONTAINERD is ${allVersions.join(", ")} or all, not "${wish}"`);
  return chosen;
}

/** Fetches what is missing. Does nothing, quickly, when everything is there. */
export function prepareBed(): void {
  const complete =
    existsSync(join(bed.rootfs, ".complete")) &&
    allVersions.every((version) => existsSync(join(bed.binaries(version), "containerd")));
  if (!complete) execFileSync(join(top, "test/bed/bed.sh"), ["setup"], { stdio: "inherit" });
  const shim = shimBinary(bed.runtime);
  if (bed.runtime !== stockRuntime && !existsSync(join(bed.built, shim))) {
    throw new Error(`${join(bed.built, shim)} is missing: run make build`);
  }
}

/** containerd's rule: the last two parts of the runtime's name. */
export function shimBinary(runtime: string): string {
  return `containerd-shim-${runtime.split(".").slice(-2).join("-")}`;
}

export function seconds(count: number): number {
  return count * 1000 * bed.slowness;
}

/** True when memory is controlled by the unified hierarchy, as in the bed's small machine. */
export const unifiedMemory = existsSync("/sys/fs/cgroup/cgroup.controllers");
