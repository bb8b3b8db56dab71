// Our .proto files against the published ones, element by element: names, numbers, types, methods.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { readShapes, type Shape } from "./proto-shape.js";

const here = dirname(fileURLToPath(import.meta.url));
const top = join(here, "../..");
const ourRoot = join(top, "proto");

interface Upstream {
  readonly ours: string;
  readonly source: string;
  readonly version: string;
  readonly root: string;
  readonly path: string;
}

interface List {
  readonly files: readonly Upstream[];
  readonly uncovered: ReadonlyMap<string, string>;
  readonly newer: ReadonlySet<string>;
  readonly omitted: ReadonlySet<string>;
  readonly aliases: ReadonlyMap<string, string>;
}

function readList(text: string): List {
  const rows = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(/ +/));
  const of = (kind: string) => rows.filter((row) => row[0] === kind).map((row) => row.slice(1));
  return {
    files: of("file").map(([ours = "", source = "", version = "", root = "", path = ""]) => ({
      ours,
      source,
      version,
      root,
      path,
    })),
    uncovered: new Map(of("uncovered").map(([ours = "", ...reason]) => [ours, reason.join(" ")])),
    newer: new Set(of("newer").map(([element = ""]) => element)),
    omitted: new Set(of("omitted").map(([element = ""]) => element)),
    aliases: new Map(of("alias").map(([theirs = "", ours = ""]) => [theirs, ours])),
  };
}

/** The names in `listed` cover themselves and whatever is inside of them. */
function isListed(listed: ReadonlySet<string>, element: string): boolean {
  return [...listed].some((name) => element === name || element.startsWith(`${name}.`));
}

/** What differs between our shape of a file and one published shape, a line each. */
function differences(ours: Shape, theirs: Shape, list: Pick<List, "omitted" | "aliases">): string[] {
  return [...theirs].flatMap(([element, published]) => {
    const expected = published.replace(/(?<= |\()\.[\w.]+/g, (type) => list.aliases.get(type) ?? type);
    const found = ours.get(element);
    if (found === expected) return [];
    if (found !== undefined) return [`${element}: ours is ${found}, published is ${expected}`];
    return isListed(list.omitted, element) ? [] : [`${element}: ours lacks it, published is ${expected}`];
  });
}

const list = readList(readFileSync(join(here, "descriptors.list"), "utf8"));
const canFetch = hasDebianTools();

describe.skipIf(!canFetch)("published .proto files", () => {
  const sources = [...new Set(list.files.map((file) => file.source))];
  const files = canFetch ? list.files : [];
  const fetched = fetchSources(canFetch ? sources : []);
  const ours = readShapes(ourRoot, [...new Set(files.map((file) => file.ours))]);
  const published = [...new Set(files.map((file) => `${file.source} ${file.root}`))].flatMap((place) => {
    const there = files.filter((file) => `${file.source} ${file.root}` === place);
    const [{ source, root }] = there as [Upstream];
    const { version: found, folder } = known(fetched, source);
    const shapes = readShapes(
      join(folder, root),
      there.map((file) => file.path),
    );
    return there.map((file) => ({ ...file, found, shape: known(shapes, file.path) }));
  });

  test.each(published)("$ours is $source: $path", ({ ours: path, shape, version, found }) => {
    const different = differences(known(ours, path), shape, list);
    // The suite has moved on since the list was written: what came in addition is news, not a difference.
    const news = version === found ? [] : different.filter((line) => line.includes(": ours lacks it"));
    if (news.length > 0) console.log(`${path}: ${found} has more than ${version}:\n  ${news.join("\n  ")}`);
    expect(different.filter((line) => !news.includes(line))).toEqual([]);
    expect(shape.size).toBeGreaterThan(0);
  });

  test.each([...ours.keys()])("%s has nothing that is not published", (path) => {
    const shapes = published.filter((file) => file.ours === path).map((file) => file.shape);
    const unknown = [...known(ours, path).keys()].filter((element) => !shapes.some((shape) => shape.has(element)));
    expect(unknown.filter((element) => !isListed(list.newer, element))).toEqual([]);
  });

  test("the exceptions in the list are needed", () => {
    const theirs = new Set(published.flatMap((file) => [...file.shape.keys()]));
    const all = new Set([...ours.values()].flatMap((shape) => [...shape.keys()]));
    expect([...list.newer].filter((element) => !all.has(element))).toEqual([]);
    expect([...list.omitted].filter((element) => !theirs.has(element) || all.has(element))).toEqual([]);
  });
});

describe("the list", () => {
  test("names every file of proto/", () => {
    for (const [path, reason] of list.uncovered) console.log(`not covered: ${path}: ${reason}`);
    const listed = [...list.files.map((file) => file.ours), ...list.uncovered.keys()];
    expect([...new Set(listed)].sort()).toEqual(protoFiles(ourRoot).sort());
  });
});

describe("versions of one interface", () => {
  test.each([
    ["containerd/task/v2/shim.proto", "containerd.task.v2.", "containerd/task/v3/shim.proto", "containerd.task.v3."],
    [
      "grpc/reflection/v1alpha/reflection.proto",
      "grpc.reflection.v1alpha.",
      "grpc/reflection/v1/reflection.proto",
      "grpc.reflection.v1.",
    ],
  ])("%s differs from its successor in the name only", (older, olderPackage, newer, newerPackage) => {
    // Code is generated from the newer one alone and serves both.
    const shapes = readShapes(ourRoot, [older, newer]);
    const renamed = [...known(shapes, older)].map(([element, shape]) => [
      element.replace(olderPackage, newerPackage),
      shape.split(`.${olderPackage}`).join(`.${newerPackage}`),
    ]);
    expect(renamed).toEqual([...known(shapes, newer)]);
  });
});

describe("the comparison itself", () => {
  const shape: Shape = new Map([
    ["p.M", "message"],
    ["p.M.a", "field 1 OPTIONAL STRING"],
    ["p.M.b", "field 2 REPEATED .p.Other"],
  ]);
  const none = { omitted: new Set<string>(), aliases: new Map<string, string>() };

  test("equal shapes do not differ", () => {
    expect(differences(shape, shape, none)).toEqual([]);
  });

  test.each([
    ["another number", new Map([...shape, ["p.M.a", "field 3 OPTIONAL STRING"]])],
    ["another type", new Map([...shape, ["p.M.a", "field 1 OPTIONAL BYTES"]])],
    ["another label", new Map([...shape, ["p.M.b", "field 2 OPTIONAL .p.Other"]])],
    ["a field that ours lacks", new Map([...shape, ["p.M.c", "field 3 OPTIONAL STRING"]])],
  ])("%s is found", (_what, theirs) => {
    expect(differences(shape, theirs, none)).toHaveLength(1);
  });

  test("aliases and omissions are honoured, and nothing else", () => {
    const theirs = new Map([
      ...shape,
      ["p.M.b", "field 2 REPEATED .old.Other"],
      ["p.N", "message"],
      ["p.N.x", "field 1"],
    ]);
    expect(differences(shape, theirs, none)).toHaveLength(3);
    expect(
      differences(shape, theirs, { omitted: new Set(["p.N"]), aliases: new Map([[".old.Other", ".p.Other"]]) }),
    ).toEqual([]);
  });
});

function hasDebianTools(): boolean {
  try {
    execFileSync("sh", ["-c", "command -v apt-get && command -v dpkg-deb"], { stdio: "ignore" });
    return true;
  } catch {
    console.log("skipped: published .proto files come as Debian packages, and this machine has no apt-get or dpkg-deb");
    return false;
  }
}

function fetchSources(sources: readonly string[]): Map<string, { version: string; folder: string }> {
  if (sources.length === 0) return new Map();
  const lines = execFileSync(join(here, "fetch-protos.sh"), sources, { encoding: "utf8" }).trim().split("\n");
  return new Map(
    lines.map((line) => {
      const [source = "", version = "", folder = ""] = line.split(" ");
      return [source, { version, folder }];
    }),
  );
}

function known<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`nothing known of ${String(key)}`);
  return value;
}

function protoFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return protoFiles(path);
    return entry.name.endsWith(".proto") ? [relative(ourRoot, path)] : [];
  });
}
