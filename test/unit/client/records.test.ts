import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findContainer } from "../../../src/cli/find.js";
import { checkIdentifier, inventId } from "../../../src/client/names.js";
import { listShims } from "../../../src/client/records.js";
import { watchShims } from "../../../src/client/watch-shims.js";

let run: string;
const at = () => ({ run, state: run });

beforeEach(async () => {
  run = await mkdtemp(join(tmpdir(), "vigil-records-"));
});
afterEach(() => rm(run, { recursive: true }));

async function record(namespace: string, id: string, files: Readonly<Record<string, string>>): Promise<void> {
  const directory = join(run, "cores", namespace, id);
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
}

async function ownStart(): Promise<string> {
  const stat = await readFile("/proc/self/stat", "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

test("no records, no shims", () => expect(listShims(at())).toEqual([]));

test("a shim with its containers, alive by pid and start time", async () => {
  const core = `pid=${process.pid}\nstart=${await ownStart()}\nsocket=unix:///s/1\nstate=/x\n`;
  await record("k8s.io", "pod", { core, shim: "group=pod\nsocket=/s/1\nbundle=/b/pod\n" });
  await record("k8s.io", "member", { shim: "group=pod\nsocket=/s/1\nbundle=/b/member=1\n" });
  expect(listShims(at())).toEqual([
    {
      namespace: "k8s.io",
      group: "pod",
      socket: "/s/1",
      pid: process.pid,
      alive: true,
      containers: [
        { id: "member", bundle: "/b/member=1" },
        { id: "pod", bundle: "/b/pod" },
      ],
    },
  ]);
});

test("a reused pid is not the shim", async () => {
  const core = `pid=${process.pid}\nstart=${Number(await ownStart()) - 1}\nsocket=/s/1\n`;
  await record("vigil", "a", { core, shim: "group=a\nsocket=/s/1\nbundle=/b\n" });
  await record("vigil", "b", { core: "pid=4194305\nstart=1\nsocket=/s/2\n" });
  expect(listShims(at()).map(({ group, alive }) => [group, alive])).toEqual([
    ["a", false],
    ["b", false],
  ]);
});

test("half-written and foreign files are passed over", async () => {
  await record("vigil", "empty", {});
  await record("vigil", "odd", { shim: "no equals sign\n" });
  await writeFile(join(run, "cores", "vigil", "a.lock"), "");
  expect(listShims(at())).toEqual([]);
});

test("a name in two namespaces must be told apart", async () => {
  for (const namespace of ["one", "two"]) {
    await record(namespace, "a", { core: "pid=0\nsocket=/s\n", shim: "group=a\nbundle=/b\n" });
  }
  expect(() => findContainer("a", undefined, at())).toThrow("say one/a or two/a");
  expect(findContainer("two/a", undefined, at()).namespace).toBe("two");
  expect(findContainer("a", "one", at()).namespace).toBe("one");
  expect(() => findContainer("a", "three", at())).toThrow("no container named a");
});

test("a shim that comes is noticed, wherever its directories must come first", async () => {
  const seen: string[][] = [];
  const stop = watchShims(at(), () => seen.push(listShims(at()).map(({ group }) => group)));
  try {
    await record("vigil", "late", { core: "pid=0\nsocket=/s\n", shim: "group=late\n" });
    await expect.poll(() => seen.at(-1), { timeout: 5_000 }).toEqual(["late"]);
    await rm(join(run, "cores", "vigil"), { recursive: true });
    await expect.poll(() => seen.at(-1), { timeout: 5_000 }).toEqual([]);
    await record("vigil", "again", { core: "pid=0\nsocket=/s\n" });
    await expect.poll(() => seen.at(-1), { timeout: 5_000 }).toEqual(["again"]);
  } finally {
    stop();
  }
});

test("invented names are valid", () => {
  for (const command of ["sleep", "/usr/bin/[", "a".repeat(100), undefined, "Über"]) {
    expect(checkIdentifier("name", inventId(command))).toMatch(/^[a-z0-9]+-[0-9a-f]{6}$/);
  }
  for (const bad of ["", "-a", "a..b", "a/b", "a\n", "a".repeat(77)]) {
    expect(() => checkIdentifier("name", bad)).toThrow("not usable");
  }
});
