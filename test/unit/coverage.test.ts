// docs/coverage.md names tests; here each name is looked up.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { allTests } from "../conformance/all.js";

const top = join(dirname(fileURLToPath(import.meta.url)), "../..");
const read = (path: string): string => readFileSync(join(top, path), "utf8");
const textOf = (folder: string): string =>
  readdirSync(join(top, folder))
    .filter((name) => name.endsWith(".ts"))
    .map((name) => read(join(folder, name)))
    .join("\n");

/** "FILE: TEXT" or "FILE": the file is there, and the text in it. */
function inFile(folder: string, reference: string): boolean {
  const [file = "", ...text] = reference.split(": ");
  const path = join(folder, file);
  return existsSync(join(top, path)) && read(path).includes(text.join(": "));
}

const lookups: Readonly<Record<string, (name: string) => boolean>> = {
  conformance: (name) => allTests.some((each) => each.name.startsWith(name)),
  scenario: (name) => textOf("test/e2e/scenarios").includes(name),
  cri: (name) => textOf("test/cri").includes(name),
  e2e: (name) => inFile("test/e2e", name),
  system: (name) => inFile("test/system", name),
  unit: (name) => inFile("test/unit", name),
  native: (name) => existsSync(join(top, "native/test", `${name}.c`)),
};

const references = [...read("docs/coverage.md").matchAll(/`(\w+) ([^`]+)`/g)]
  .map(([, kind = "", name = ""]) => ({ kind, name }))
  .filter(({ kind }) => kind in lookups);

describe("docs/coverage.md", () => {
  test("names tests", () => expect(references.length).toBeGreaterThan(100));
  test.each(references)("$kind $name", ({ kind, name }) => expect(lookups[kind]?.(name)).toBe(true));
});
