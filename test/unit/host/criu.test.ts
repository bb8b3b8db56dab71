// What CRIU is asked for, without CRIU.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openBundle } from "../../../src/host/bundle.js";
import type { CgroupHost } from "../../../src/host/cgroup/detect.js";
import { placementOf } from "../../../src/host/cgroup/placement.js";
import { encodeOps } from "../../../src/host/core/ops.js";
import { externalMounts, mountPoints } from "../../../src/host/runtime/criu-mounts.js";
import { encodeCriuOptions } from "../../../src/host/runtime/criu-options.js";
import { refuseForCriu } from "../../../src/host/runtime/criu-refuse.js";
import type { NativeHandle } from "../../../src/host/runtime/handle.js";
import { planCheckpoint } from "../../../src/host/runtime/plan-checkpoint.js";
import { planRestore } from "../../../src/host/runtime/plan-restore.js";
import type { CheckpointSpec } from "../../../src/task/ports.js";
import { decodeOps } from "../../support/decode-ops.js";

/** Field numbers with their values; a pair or a string is text. */
function fieldsOf(bytes: Uint8Array): [number: number, value: number | string][] {
  const reader = new BinaryReader(bytes);
  const fields: [number, number | string][] = [];
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    fields.push([number, type === WireType.Varint ? reader.uint32() : Buffer.from(reader.bytes()).toString()]);
  }
  return fields;
}

test("options have the numbers of CRIU's rpc.proto; nothing is left out for being empty", () => {
  const encoded = encodeCriuOptions({
    pid: 7,
    leaveRunning: false,
    root: "/r",
    emptyNs: 0x40000000,
    external: ["file[18:3]", "x"],
    cgRoot: [["", "/c"]],
    extMnt: [["/a", "/b"]],
    orphanPtsMaster: true,
  });
  expect(fieldsOf(encoded).sort(([a], [b]) => a - b)).toEqual([
    [2, 7],
    [3, 0],
    [13, "/r"],
    [23, "\n\x02/a\x12\x02/b"],
    [25, "\n\x00\x12\x02/c"],
    [37, "file[18:3]"],
    [37, "x"],
    [38, 0x40000000],
    [50, 1],
  ]);
});

const hierarchies: CgroupHost["hierarchies"] = ["cpu,cpuacct", "memory", "freezer", "devices", "name=systemd"].map(
  (options) => ({
    version: 1,
    mountPoint: `/nosuch/${options}`,
    controllers: options.split(",").filter((word) => !word.startsWith("name=")),
    options,
  }),
);
const host: CgroupHost = { mode: "v1", hierarchies };
const placement = placementOf(host, "/v/c");

let directory: string;
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "vigil-criu-")));
  mkdirSync(join(directory, "rootfs"));
  writeFileSync(join(directory, "file"), "");
});
afterEach(() => rmSync(directory, { recursive: true }));

interface Wish {
  readonly mounts?: readonly object[];
  readonly namespaces?: readonly object[];
  readonly hooks?: object;
}

function bundleOf({ mounts = [], namespaces = [{ type: "pid" }, { type: "mount" }], hooks = {} }: Wish) {
  const process = { args: ["x"], cwd: "/", user: { uid: 0, gid: 0 } };
  const config = { ociVersion: "1.2.0", process, root: { path: "rootfs" }, mounts, hooks, linux: { namespaces } };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  return openBundle(directory);
}

describe("mounts", () => {
  const mounts = [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs" },
    { destination: "/dev/pts", type: "devpts", source: "devpts" },
    { destination: "/data/", type: "none", source: "/host", options: ["rbind"] },
    { destination: "/name", type: "bind", source: "file" },
    { destination: "/cg", type: "cgroup", source: "cgroup" },
  ];

  test("of the host are external, and cgroups without a namespace of their own", () => {
    const external = externalMounts(bundleOf({ mounts }), placement);
    expect(external).toEqual([
      { target: "/data", source: "/host" },
      { target: "/name", source: join(directory, "file") },
      ...hierarchies.map(({ options }) => ({ target: `/cg/${options}`, source: `/nosuch/${options}/v/c` })),
    ]);
    const namespaces = [{ type: "pid" }, { type: "mount" }, { type: "cgroup" }];
    expect(externalMounts(bundleOf({ mounts, namespaces }), placement)).toHaveLength(2);
    expect(externalMounts(bundleOf({ mounts }), placementOf({ ...host, mode: "v2" }, "/v/c"))).toHaveLength(2);
  });

  test("need their mount points, but not in a tmpfs, whose content comes with it", () => {
    const bundle = bundleOf({ mounts });
    const isFile = (path: string) => path === join(directory, "file");
    expect(mountPoints(bundle, isFile, externalMounts(bundle, placement))).toEqual({
      directories: ["/proc", "/dev", "/data", "/cg"],
      files: ["/name"],
    });
  });
});

test.each<[Wish, string | undefined, string | undefined]>([
  [{}, undefined, undefined],
  [{ namespaces: [{ type: "mount" }] }, "no pid namespace", "no pid namespace"],
  [{ namespaces: [{ type: "pid", path: "/p" }] }, "linux.namespaces[0].path", "linux.namespaces[0].path"],
  [{ namespaces: [{ type: "pid" }, { type: "user" }] }, "linux.namespaces[1]", "linux.namespaces[1]"],
  [{ hooks: { createRuntime: [{ path: "/h" }] } }, undefined, "hooks.createRuntime"],
  [{ hooks: { poststart: [{ path: "/h" }] } }, undefined, "hooks.poststart"],
  [{ hooks: { poststop: [{ path: "/h" }] } }, undefined, undefined],
])("%j: what cannot be done is refused by name", (wish, checkpoint, restore) => {
  const { spec } = bundleOf(wish);
  for (const [step, words] of [["checkpoint", checkpoint] as const, ["restore", restore] as const]) {
    const refusing = () => refuseForCriu(spec, step);
    if (words === undefined) expect(refusing).not.toThrow();
    else
      expect(refusing).toThrow(
        expect.objectContaining({ code: "unimplemented", message: expect.stringContaining(words) }),
      );
  }
});

describe("a restore", () => {
  const images = () => join(directory, "images");
  beforeEach(() => mkdirSync(images()));

  const plan = (checkpoint = images()) =>
    planRestore(
      bundleOf({}),
      {
        id: "c",
        bundle: directory,
        rootfs: [],
        stdio: { stdin: "", stdout: "", stderr: "", terminal: false },
        options: {
          ...{ noPivotRoot: false, noNewKeyring: false, shimCgroup: "", ioUid: 0, ioGid: 0, binaryName: "", root: "" },
          ...{ systemdCgroup: false, criuImagePath: "", criuWorkPath: "" },
        },
        checkpoint,
      },
      {
        namespace: "ns",
        cgroups: host,
        seccomp: undefined,
        lastCapability: 40,
        modules: { apparmor: false, selinux: false },
        caller: { uid: 0, gid: 0, privileged: true },
        warn: () => undefined,
      },
      "criu",
    );

  test("is a birth without a child of ours, in the cgroups of the container", () => {
    const { birth, restore } = plan();
    expect(birth).toMatchObject({ cloneFlags: 0n, cgroup: { version: 0 }, watch: { version: 1 } });
    expect(birth.ops).toHaveLength(0);
    expect(restore).toMatchObject({ root: join(directory, "rootfs"), inherited: ["", "", ""] });
    const roots = fieldsOf(restore.criu.options).filter(([number]) => number === 25);
    const controllers = roots.map(([, pair]) => String(pair).slice(2).split("\u0012")[0]);
    expect(controllers).toEqual(["cpu", "cpuacct", "memory", "freezer", "devices", "name=systemd"]);
  });

  test("gives each stream's name once, and a terminal's not at all", () => {
    writeFileSync(join(images(), "descriptors.json"), JSON.stringify(["file[18:3]", "pipe:[5]", "pipe:[5]"]));
    expect(plan().restore.inherited).toEqual(["file[18:3]", "pipe:[5]", ""]);
    writeFileSync(join(images(), "descriptors.json"), JSON.stringify(["/dev/pts/0", "/dev/null", "pipe:[6]"]));
    expect(plan().restore.inherited).toEqual(["", "", "pipe:[6]"]);
  });

  test("is told what the checkpoint was told", () => {
    const before = fieldsOf(plan().restore.criu.options).filter(([number]) => number === 5);
    writeFileSync(join(images(), "vigil.json"), JSON.stringify({ tcpEstablished: true }));
    expect([before, fieldsOf(plan().restore.criu.options).filter(([number]) => number === 5)]).toEqual([[], [[5, 1]]]);
  });

  test.each([
    ["descriptors.json", "{"],
    ["descriptors.json", "{}"],
    ["vigil.json", '{"tcpEstablished":1}'],
  ])("from images with %s of %s is refused", (name, content) => {
    writeFileSync(join(images(), name), content);
    expect(() => plan()).toThrow(
      expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(join(images(), name)) }),
    );
  });

  test("from nowhere is refused", () => {
    expect(() => plan("/nosuch/images")).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});

describe("a checkpoint", () => {
  const asked: CheckpointSpec = {
    imageDirectory: "/images",
    workDirectory: "",
    exit: false,
    openTcp: true,
    externalUnixSockets: false,
    terminal: false,
    fileLocks: false,
    emptyNamespaces: [],
    cgroupsMode: "",
  };
  const handle: NativeHandle = {
    ...{ placement, namespaces: 0n, pid: process.pid, mountPoint: "", boundRoot: "", keyring: "", ioUid: 0, ioGid: 0 },
    later: undefined,
  };
  const plan = (more: Partial<CheckpointSpec> = {}) =>
    planCheckpoint(handle, bundleOf({}), { ...asked, ...more }, "criu");
  const showOf = (more: Partial<CheckpointSpec> = {}) =>
    decodeOps(encodeOps(plan(more).ops)).map(({ name, args }) => [name, ...args.map(String)]);

  test("works among the images, from where its log goes again, or where it is told to", () => {
    const own = showOf();
    expect(own.map(([name]) => name)).toEqual(["MKDIR", "UNLINK", "CRIU", "FILE", "FILE", "UNLINK", "UNLINK"]);
    expect(own.slice(-2).map(([, path]) => path)).toEqual(["/images/dump.log", "/images/stats-dump"]);
    expect(showOf({ workDirectory: "/work" }).map(([name]) => name)).toEqual([
      "MKDIR",
      "MKDIR",
      "UNLINK",
      "CRIU",
      "FILE",
      "FILE",
    ]);
  });

  test("keeps what a restore has to be told", () => {
    const kept =
      showOf({ emptyNamespaces: ["network"] })
        .find(([, path]) => path === "/images/vigil.json")
        ?.at(-1) ?? "";
    expect(JSON.parse(kept)).toMatchObject({ tcpEstablished: true, fileLocks: false, emptyNs: 0x40000000 });
  });

  test.each([
    [{ cgroupsMode: "hard" }, 'cgroups_mode: "hard" is not known'],
    [{ emptyNamespaces: ["ipc"] }, 'empty_namespaces: "ipc"'],
  ])("with %j is refused", (more, words) => {
    expect(() => plan(more)).toThrow(
      expect.objectContaining({ code: "invalid_argument", message: expect.stringContaining(words) }),
    );
  });
});
