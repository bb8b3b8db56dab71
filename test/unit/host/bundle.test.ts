import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { VigilError } from "../../../src/base/errors.js";
import { mountPoint, openBundle, parseProcess, parseResources, rootDirectory } from "../../../src/host/bundle.js";

const ctr = JSON.parse(readFileSync(new URL("../../fixtures/bundle/ctr-1.7.json", import.meta.url), "utf8"));

let directory: string;
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), "vigil-bundle-")));
});
afterEach(() => rmSync(directory, { recursive: true }));

function bundleOf(change: (spec: typeof ctr) => void): string {
  const spec = structuredClone(ctr);
  change(spec);
  writeFileSync(join(directory, "config.json"), JSON.stringify(spec));
  return directory;
}

function failure(action: () => unknown): { code: string; message: string } {
  try {
    action();
  } catch (thrown) {
    const { code, message } = VigilError.from(thrown);
    return { code, message };
  }
  throw new Error("was accepted");
}

test("what ctr of containerd 1.7 writes is accepted, unknown members too", () => {
  const { spec } = openBundle(
    bundleOf((config) => {
      config.somethingNew = { a: [1] };
      config.linux.somethingNew = true;
    }),
  );
  expect(spec.process.args).toEqual(["/bin/sh", "-c", "sleep 5"]);
  expect(spec.linux.cgroupsPath).toBe("/default/t1");
  expect(spec.process.oomScoreAdj).toBeUndefined();
});

test.each<[string, (spec: typeof ctr) => void]>([
  ["config.json: process.args[0]: expected string, got number", (s) => (s.process.args = [3])],
  ["config.json: process.args: must not be empty", (s) => (s.process.args = [])],
  ["config.json: process.args: expected array, got nothing", (s) => delete s.process.args],
  ["config.json: process: expected object, got nothing", (s) => delete s.process],
  ['config.json: process.cwd: "tmp" is not an absolute path', (s) => (s.process.cwd = "tmp")],
  ['config.json: process.env[1]: "B" is not of the form NAME=VALUE', (s) => (s.process.env = ["A=", "B"])],
  ["config.json: process.user.uid: expected an integer from 0 to 4294967295, got -1", (s) => (s.process.user.uid = -1)],
  [
    "config.json: process.oomScoreAdj: expected an integer from -1000 to 1000, got 1001",
    (s) => (s.process.oomScoreAdj = 1001),
  ],
  ["config.json: mounts[2].options[0]: expected string, got null", (s) => (s.mounts[2].options = [null])],
  [
    'config.json: linux.namespaces[0].type: "pids" is none of pid, network, mount, ipc, uts, user, cgroup, time',
    (s) => (s.linux.namespaces[0].type = "pids"),
  ],
  [
    "config.json: linux.resources.memory.limit: expected an integer, got string",
    (s) => (s.linux.resources.memory = { limit: "1g" }),
  ],
  [
    "config.json: linux.resources.memory.limit: expected an integer, got 1.5",
    (s) => (s.linux.resources.memory = { limit: 1.5 }),
  ],
  ["config.json: linux.sysctl.net.x: expected string, got number", (s) => (s.linux.sysctl = { "net.x": 1 })],
  ["config.json: root.path: a string with a zero byte in it", (s) => (s.root.path = "a\0b")],
  ["config.json: ociVersion: expected string, got nothing", (s) => delete s.ociVersion],
  ['config.json: ociVersion: "1.0" is not a semantic version', (s) => (s.ociVersion = "1.0")],
  ["config.json: ociVersion: 2.0.0: only versions 1.x of the specification are known", (s) => (s.ociVersion = "2.0.0")],
])("%s", (message, change) => {
  expect(failure(() => openBundle(bundleOf(change)))).toEqual({ code: "invalid_argument", message });
});

test("64-bit limits that mean none survive JSON's doubles", () => {
  const { memory, cpu } = parseResources(
    '{"memory":{"limit":9223372036854775807},"cpu":{"shares":18446744073709551615}}',
  );
  expect(memory?.limit).toBe(2n ** 63n - 1n);
  expect(cpu?.shares).toBe(2n ** 64n - 1n);
  const process = parseProcess(
    '{"args":["a"],"cwd":"/","rlimits":[{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}]}',
  );
  expect(process.rlimits[0]?.hard).toBe(2n ** 64n - 1n);
});

test("null is absent, as Go writes it", () => {
  expect(parseResources('{"devices":null,"memory":null,"pids":{"limit":null}}').devices).toEqual([]);
});

test("an exec's process is named without a file", () => {
  expect(failure(() => parseProcess('{"args":["a"]}')).message).toBe("process.cwd: expected string, got nothing");
  expect(failure(() => parseProcess("{"))).toMatchObject({
    code: "invalid_argument",
    message: expect.stringMatching(/^process: not JSON/),
  });
  expect(failure(() => parseProcess("[]")).message).toBe("process: expected object, got array");
});

test("a missing or broken config.json is named", () => {
  expect(failure(() => openBundle(directory)).message).toContain(join(directory, "config.json"));
  writeFileSync(join(directory, "config.json"), "{]");
  expect(failure(() => openBundle(directory)).message).toMatch(/^config.json: not JSON/);
  writeFileSync(join(directory, "config.json"), "7");
  expect(failure(() => openBundle(directory)).message).toBe("config.json: expected object, got number");
  expect(failure(() => openBundle("relative")).message).toMatch(/^bundle: "relative"/);
});

describe("root.path", () => {
  const root = (path: string, mounted = false) =>
    rootDirectory(openBundle(bundleOf((spec) => (spec.root.path = path))), mounted);

  test("a directory of the bundle", () => {
    mkdirSync(join(directory, "rootfs"));
    expect(root("rootfs")).toBe(join(directory, "rootfs"));
    expect(root("./rootfs/")).toBe(join(directory, "rootfs"));
    expect(root(join(directory, "rootfs"))).toBe(join(directory, "rootfs"));
  });

  test("one that the mounts of the request will make", () => {
    expect(root("rootfs", true)).toBe(join(directory, "rootfs"));
    expect(root(join(directory, "rootfs"), true)).toBe(join(directory, "rootfs"));
  });

  test("a link out of the bundle is refused, with mounts and without", () => {
    symlinkSync("/usr", join(directory, "rootfs"));
    expect(failure(() => root("rootfs")).message).toContain("symbolic link");
    expect(failure(() => root("rootfs", true)).message).toContain("is not a directory");
    expect(failure(() => mountPoint({ path: directory })).code).toBe("invalid_argument");
  });

  test("a link on the way is refused", () => {
    mkdirSync(join(directory, "real/rootfs"), { recursive: true });
    symlinkSync("real", join(directory, "link"));
    expect(failure(() => root("link/rootfs")).message).toContain("symbolic link");
  });

  test("outside of the bundle, missing, empty or a file", () => {
    expect(failure(() => root("../..")).message).toContain("is not inside of the bundle");
    expect(failure(() => root("nosuch")).message).toContain("does not exist");
    expect(failure(() => root("/nosuch/rootfs")).message).toContain("does not exist");
    expect(failure(() => root("")).message).toBe("config.json: root.path: must not be empty");
    expect(failure(() => root("config.json")).message).toContain("is not a directory");
  });
});

describe("numbers of 64 bits", () => {
  const limit = (text: string) => parseResources(`{"memory":{"limit":${text}}}`).memory?.limit;

  test("are read exactly, and as doubles write them", () => {
    expect(limit("9007199254740993")).toBe(9007199254740993n);
    expect(limit("-9007199254740993")).toBe(-9007199254740993n);
    expect(limit("9223372036854775807")).toBe(2n ** 63n - 1n);
    expect(limit("9223372036854776000")).toBe(2n ** 63n - 1n);
    expect(failure(() => limit("9223372036854780000")).message).toContain("expected an integer from");
  });

  test("are none where they are in a string, or where another kind of value is wanted", () => {
    const process = parseProcess('{"args":["a","1234567890123456789","\\"12345678901234567890"],"cwd":"/"}');
    expect(process.args).toEqual(["a", "1234567890123456789", '"12345678901234567890']);
    const words = (json: string) => failure(() => parseProcess(json)).message;
    expect(words('{"args":[12345678901234567890],"cwd":"/"}')).toBe("process.args[0]: expected string, got number");
    expect(words('{"args":["a"],"cwd":"/","user":{"uid":12345678901234567890}}')).toContain("got 12345678901234567890");
    expect(words('{"args":["a"],"cwd":1234567890123456789')).toContain("process: not JSON");
  });
});
