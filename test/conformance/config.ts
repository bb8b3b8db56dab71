// The configuration file as such, and the features document.
import { equal, match, notEqual, ok } from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bed } from "./harness/bed.js";
import type { Edit } from "./harness/config.js";
import { section } from "./harness/test.js";

function text(content: string) {
  return { prepare: ({ bundle }: { bundle: string }) => writeFileSync(join(bundle, "config.json"), content) };
}

// What a runtime that reads by type must refuse.
const wrong: Readonly<Record<string, Edit>> = {
  "process.args": { process: { args: "true" } },
  "an entry of process.args": { process: { args: ["true", 5] } },
  "process.env": { process: { env: { A: "1" } } },
  "process.cwd": { process: { cwd: 5 } },
  "process.user.uid": { process: { user: { uid: "root" } } },
  "process.terminal": { process: { terminal: "yes" } },
  "process.capabilities": { process: { capabilities: ["CAP_CHOWN"] } },
  "root.path": { root: { path: 5 } },
  "root.readonly": { root: { readonly: "yes" } },
  hostname: { hostname: 5 },
  mounts: { mounts: { destination: "/tmp" } },
  "mounts.options": { mounts: [{ destination: "/tmp", type: "tmpfs", source: "x", options: "ro" }] },
  "linux.namespaces": { linux: { namespaces: ["pid"] } },
  "linux.maskedPaths": { linux: { maskedPaths: "/etc" } },
  "linux.sysctl": { linux: { sysctl: ["a=b"] } },
  "linux.cgroupsPath": { linux: { cgroupsPath: 5 } },
  "linux.devices": { linux: { devices: { path: "/dev/x" } } },
  hooks: { hooks: [] },
};

export const configTests = [
  ...section("config.md#specification-version", {
    "a missing ociVersion is refused": async (t) => {
      await t.refused({ ociVersion: undefined });
    },
    // runc and crun do not read the version's value.
    "an empty ociVersion is refused": async (t) => {
      await t.refused({ ociVersion: "" });
    },
    "one that is no semantic version is refused": async (t) => {
      await t.refused({ ociVersion: "first" });
    },
    "another major version is refused": async (t) => {
      await t.refused({ ociVersion: "2.0.0" });
    },
    "1.0.0 is taken": async (t) => {
      equal(await t.probe("echo ran", { ociVersion: "1.0.0" }), "ran");
    },
    "later versions of the same major are taken": async (t) => {
      equal(await t.probe("echo ran", { ociVersion: "1.2.1" }), "ran");
    },
    "a development version is taken": async (t) => {
      equal(await t.probe("echo ran", { ociVersion: "1.0.2-dev" }), "ran");
    },
  }),
  ...section("config.md#extensibility", {
    "unknown properties are ignored at every level": async (t) => {
      const edit = {
        "org.example.unknown": { deep: [1, 2, { three: null }] },
        process: { unknown: true, user: { unknown: 1 } },
        root: { unknown: "x" },
        linux: { unknown: {}, resources: { unknown: { limit: 5 }, pids: { limit: 100, unknown: 1 } } },
      };
      equal(await t.probe("echo ran", edit), "ran");
    },
    "properties of other platforms are ignored, or refused": async (t) => {
      const container = t.container({
        process: { args: ["echo", "ran"] },
        solaris: { milestone: "x" },
        windows: { layerFolders: ["x"] },
      });
      if ((await container.create()).code !== 0) return;
      await container.start();
      await container.ended();
      equal(container.out, "ran\n");
    },
  }),
  ...section("config.md#annotations", {
    "unknown annotations, also of the reserved name space, are no error": async (t) => {
      const annotations = { "org.example.key": "value", "org.opencontainers.image.unknown": "value" };
      equal(await t.probe("echo ran", { annotations }), "ran");
    },
    "an empty value": async (t) => {
      equal(await t.probe("echo ran", { annotations: { "org.example.key": "" } }), "ran");
    },
    "an empty map": async (t) => {
      equal(await t.probe("echo ran", { annotations: {} }), "ran");
    },
    "a value that is no string is refused": async (t) => {
      await t.refused({ annotations: { "org.example.key": 5 } });
    },
  }),
  ...section("config.md#valid-values", {
    "a file that is no JSON is refused": async (t) => {
      await t.refused({}, text("{ not json"));
    },
    "an empty file is refused": async (t) => {
      await t.refused({}, text(""));
    },
    "JSON that is no object is refused": async (t) => {
      await t.refused({}, text("[]"));
    },
    "an empty object is refused": async (t) => {
      await t.refused({}, text("{}"));
    },
    ...Object.fromEntries(
      Object.entries(wrong).map(([name, edit]) => [
        `a value of the wrong type is refused: ${name}`,
        async (t: Bed) => void (await t.refused(edit)),
      ]),
    ),
    "a number beyond its type is refused": async (t) => {
      await t.refused({ process: { user: { uid: 4294967296 } } });
    },
    "numbers of 64 bits are read exactly": async (t) => {
      const container = t.container(
        { process: { args: ["sh", "-c", "grep 'address space' /proc/self/limits"] } },
        {
          prepare: ({ bundle }) => {
            const file = join(bundle, "config.json");
            // One that a double does not hold.
            const limit = '"rlimits":[{"type":"RLIMIT_AS","soft":9007199254740993,"hard":9007199254740993}]';
            writeFileSync(
              file,
              JSON.stringify(JSON.parse(readFileSync(file, "utf8"))).replace('"cwd":', `${limit},"cwd":`),
            );
          },
        },
      );
      await container.mustCreate();
      await container.start();
      await container.ended();
      match(container.out, / 9007199254740993 +9007199254740993 /);
    },
  }),
];

interface Features {
  readonly ociVersionMin: string;
  readonly ociVersionMax: string;
  readonly hooks?: readonly string[];
  readonly mountOptions?: readonly string[];
  readonly linux?: {
    readonly namespaces?: readonly string[];
    readonly capabilities?: readonly string[];
    readonly cgroup?: { readonly v1?: boolean; readonly v2?: boolean };
    readonly seccomp?: {
      readonly actions?: readonly string[];
      readonly operators?: readonly string[];
      readonly archs?: readonly string[];
    };
  };
}

async function features(t: Bed): Promise<Features> {
  const { code, out, err } = await t.call(["features"]);
  equal(code, 0, err);
  return JSON.parse(out) as Features;
}

function contains(found: readonly string[] | undefined, wanted: readonly string[]): void {
  const missing = wanted.filter((name) => !found?.includes(name));
  equal(missing.join(), "");
}

// config.md, table of mount options, the rows that say MUST.
const requiredOptions = (
  "async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec noiversion nolazytime " +
  "norelatime nostrictatime nosuid private rbind relatime remount ro rprivate rshared rslave runbindable rw shared silent slave " +
  "strictatime suid sync unbindable"
).split(" ");

export const featureTests = [
  ...section("features.md#specification-version", {
    "ociVersionMin and ociVersionMax are semantic versions in their order": async (t) => {
      const { ociVersionMin, ociVersionMax } = await features(t);
      for (const version of [ociVersionMin, ociVersionMax]) match(version, /^\d+\.\d+\.\d+/);
      const parts = (version: string) => version.split(/[.+-]/).slice(0, 3).map(Number);
      const [from = [], to = []] = [parts(ociVersionMin), parts(ociVersionMax)];
      const order = from.map((part, at) => (to[at] ?? 0) - part).find((difference) => difference !== 0) ?? 0;
      ok(order >= 0, `${ociVersionMin} > ${ociVersionMax}`);
    },
    "both are taken as ociVersion": async (t) => {
      const { ociVersionMin, ociVersionMax } = await features(t);
      for (const ociVersion of [ociVersionMin, ociVersionMax]) equal(await t.probe("echo ran", { ociVersion }), "ran");
    },
  }),
  ...section("features.md#hooks", {
    "all six kinds": async (t) => {
      contains((await features(t)).hooks, [
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
      ]);
    },
  }),
  ...section("features.md#mount-options", {
    "all that a runtime must have": async (t) => {
      contains((await features(t)).mountOptions, requiredOptions);
    },
  }),
  ...section("features-linux.md#namespaces", {
    "each one named is taken": async (t) => {
      const { linux } = await features(t);
      contains(linux?.namespaces, ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"]);
      const all = (linux?.namespaces ?? []).filter((type) => type !== "user").map((type) => ({ type }));
      equal(await t.probe("echo ran", { linux: { namespaces: all } }), "ran");
    },
  }),
  ...section("features-linux.md#capabilities", {
    "they are the kernel's": async (t) => {
      contains((await features(t)).linux?.capabilities, ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"]);
    },
  }),
  ...section("features-linux.md#cgroup", {
    "v1 and v2 are booleans": async (t) => {
      const { linux } = await features(t);
      equal(typeof linux?.cgroup?.v1, "boolean");
      equal(typeof linux?.cgroup?.v2, "boolean");
    },
  }),
  ...section("features-linux.md#seccomp", {
    "actions, operators and architectures": async (t) => {
      const seccomp = (await features(t)).linux?.seccomp;
      contains(seccomp?.actions, [
        "SCMP_ACT_ALLOW",
        "SCMP_ACT_ERRNO",
        "SCMP_ACT_KILL",
        "SCMP_ACT_LOG",
        "SCMP_ACT_TRAP",
        "SCMP_ACT_TRACE",
      ]);
      contains(seccomp?.operators, ["SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ"]);
      notEqual(seccomp?.archs?.length ?? 0, 0);
    },
  }),
];
