// Whatever a configuration or a request says: a plan, or a VigilError. VIGIL_FUZZ_SECONDS makes it a long run.
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { VigilError } from "../../../src/base/errors.js";
import { encodeBirth } from "../../../src/host/core/encode-birth.js";
import { planStreams } from "../../../src/host/io/streams.js";
import { checkSpec } from "../../../src/host/oci/spec.js";
import { planContainer } from "../../../src/host/runtime/plan.js";

const ctr = JSON.parse(readFileSync(new URL("../../fixtures/bundle/ctr-1.7.json", import.meta.url), "utf8"));
const seconds = Number(process.env.VIGIL_FUZZ_SECONDS ?? 0);
const run =
  seconds > 0 ? { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: seconds * 1000 } : { numRuns: 500 };

let bundle: string;
beforeAll(() => {
  bundle = realpathSync(mkdtempSync(join(tmpdir(), "vigil-fuzz-")));
  mkdirSync(join(bundle, "rootfs"));
});
afterAll(() => rmSync(bundle, { recursive: true }));

/** Every place in a JSON value, as a path. */
function places(value: unknown, at: string[] = []): string[][] {
  const below = typeof value === "object" && value !== null ? Object.entries(value) : [];
  return [at, ...below.flatMap(([key, member]) => places(member, [...at, key]))];
}

function changed(value: unknown, [key, ...rest]: readonly string[], to: unknown): unknown {
  if (key === undefined) return to;
  const copy: Record<string, unknown> = Array.isArray(value) ? ([...value] as never) : { ...(value as object) };
  copy[key] = changed(copy[key], rest, to);
  return copy;
}

const richer = {
  ...ctr,
  hostname: "h",
  process: { ...ctr.process, env: ["A=b"], consoleSize: { width: 1, height: 1 }, oomScoreAdj: 1 },
  linux: {
    ...ctr.linux,
    sysctl: { "net.ipv4.ip_forward": "1" },
    devices: [{ path: "/dev/x", type: "c", major: 1, minor: 2, fileMode: 438 }],
    resources: {
      ...ctr.linux.resources,
      memory: { limit: 1, swap: 2, reservation: 1 },
      cpu: { shares: 2, quota: 1, period: 1, cpus: "0" },
      pids: { limit: 1 },
      blockIO: { weight: 10, weightDevice: [{ major: 1, minor: 1, weight: 10 }] },
      hugepageLimits: [{ pageSize: "2MB", limit: 1 }],
      unified: { "memory.high": "1" },
    },
  },
};

const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(
    -1,
    0,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    2 ** 63,
    2 ** 64,
    1e300,
    "",
    "/",
    "..",
    "../..",
    "a\0b",
    "a\nb",
    "/a b",
    ":a:b",
    "ro",
    "rbind",
  ),
);

const accepted = (action: () => unknown): void => {
  try {
    action();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(VigilError);
    expect((thrown as VigilError).message).not.toBe("");
  }
};

const timeout = (seconds + 20) * 1000;

test("a configuration with anything anywhere", { timeout }, () => {
  const where = fc.constantFrom(...places(richer));
  const edits = fc.array(fc.tuple(where, odd), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(edits, (list) => {
      const config = list.reduce<unknown>((value, [path, to]) => {
        try {
          return changed(value, path, to);
        } catch {
          return value; // an earlier edit took that place away
        }
      }, richer);
      accepted(() => {
        const spec = checkSpec(JSON.parse(JSON.stringify(config)), "config.json:");
        const { birth } = planContainer(
          { path: bundle, spec },
          {
            id: "t1",
            bundle,
            rootfs: [],
            stdio: { stdin: "", stdout: "", stderr: "", terminal: false },
            options: {
              noPivotRoot: false,
              noNewKeyring: false,
              shimCgroup: "",
              ioUid: 0,
              ioGid: 0,
              binaryName: "",
              root: "",
              systemdCgroup: false,
              criuImagePath: "",
              criuWorkPath: "",
            },
            checkpoint: "",
          },
          {
            namespace: "n",
            cgroups: {
              mode: "v2",
              hierarchies: [
                {
                  version: 2,
                  mountPoint: "/nosuch/cgroup",
                  controllers: ["cpu", "cpuset", "memory", "pids", "io", "hugetlb"],
                  options: "",
                },
              ],
            },
            caller: { uid: 0, gid: 0, privileged: true },
            seccomp: undefined,
            lastCapability: 40,
            modules: { apparmor: false, selinux: false },
            warn: () => undefined,
          },
        );
        expect(
          birth.cgroup.directories.every((path) => path.startsWith("/nosuch/cgroup/") && !path.includes("..")),
        ).toBe(true);
        encodeBirth(birth);
      });
    }),
    run,
  );
});

test("stream addresses", { timeout }, () => {
  const address = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.string().map((rest) => `binary:///${rest}`),
    fc.string().map((rest) => `fifo://${rest}`),
  );
  fc.assert(
    fc.property(address, address, address, fc.boolean(), (stdin, stdout, stderr, terminal) => {
      accepted(() => planStreams({ stdin, stdout, stderr, terminal }, "id", "ns"));
    }),
    run,
  );
});
