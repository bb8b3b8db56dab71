import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createLog } from "../../../src/base/log.js";

let directory: string;
let fd: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "vigil-log-"));
  fd = openSync(join(directory, "log"), "w");
});

afterEach(() => rmSync(directory, { recursive: true }));

const written = (): string => {
  closeSync(fd);
  return readFileSync(join(directory, "log"), "utf8");
};

test("a line has its time, level, message and fields, and is one line whatever is in them", () => {
  const log = createLog({ fd, least: "info", fields: { namespace: "n" } });
  log.debug("not shown");
  log.with({ id: "c1" }).warning("odd", { text: 'a "b"\nc', error: new Error("outer", { cause: new Error("inner") }) });
  const text = written();
  expect(text).toMatch(
    /^time="[^"]+" level=warning msg="odd" namespace=n id=c1 text="a \\"b\\"\\nc" error="outer: inner"\n$/,
  );
});

test("a descriptor that takes nothing is no reason to fail", () => {
  const log = createLog({ fd, least: "info" });
  closeSync(fd);
  expect(() => log.error("lost")).not.toThrow();
  fd = openSync(join(directory, "log"), "r");
});
