import { describe, expect, test } from "vitest";
import {
  formatAge,
  formatBytes,
  isUnlimited,
  parseBytes,
  parseEnvironment,
  parseSignal,
  parseUser,
  signalName,
} from "../../../src/cli/quantities.js";

describe("sizes", () => {
  test.each([
    ["65536", 65536n],
    ["64m", 64n << 20n],
    ["64M", 64n << 20n],
    ["64MiB", 64n << 20n],
    ["64mb", 64n << 20n],
    ["1.5g", 3n << 29n],
    ["2t", 2n << 40n],
    ["512k", 512n << 10n],
  ])("%s is %d bytes", (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  test.each(["", "m", "-1", "0", "64x", "1e3", "0.0001", "9999999999t", "64 m m"])("%j is refused", (text) =>
    expect(() => parseBytes(text)).toThrow(/\.$/),
  );

  test.each([
    [0n, "0 B"],
    [1023n, "1023 B"],
    [1536n, "1.5 KiB"],
    [64n << 20n, "64 MiB"],
    [(64n << 20n) - 4096n, "64 MiB"],
    [300n << 30n, "300 GiB"],
  ])("%d bytes are shown as %s", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  test("what counters say for no limit is none", () => {
    expect([2n ** 64n - 1n, 2n ** 63n - 4096n, 1n << 50n].map(isUnlimited)).toEqual([true, true, false]);
  });
});

describe("signals", () => {
  test.each([
    ["TERM", 15],
    ["sigkill", 9],
    ["1", 1],
    ["64", 64],
    ["RTMIN", 34],
    ["RTMIN+3", 37],
    ["SIGRTMAX-1", 63],
  ])("%s is %d", (text, signal) => expect(parseSignal(text)).toBe(signal));

  test.each(["", "0", "65", "LOUD", "RTMIN-1", "RTMAX+1", "1.5", "-9"])("%j is refused", (text) =>
    expect(() => parseSignal(text)).toThrow(/no such signal/),
  );

  test("are named", () => expect([signalName(9), signalName(40)]).toEqual(["SIGKILL", "signal 40"]));
});

describe("users", () => {
  test("have a group of their own choosing, or root's", () => {
    expect(parseUser("1000")).toEqual({ uid: 1000, gid: 0 });
    expect(parseUser("1000:100")).toEqual({ uid: 1000, gid: 100 });
  });
  test.each(["", "root", "1000:", "-1", "4294967295", "1:4294967295"])("%j is refused", (text) =>
    expect(() => parseUser(text)).toThrow(/numbers/),
  );
});

describe("environment", () => {
  test("is collected, and passed on by name where it exists", () => {
    process.env.VIGIL_TEST_PRESENT = "yes";
    delete process.env.VIGIL_TEST_ABSENT;
    const collected = ["A=1", "B=x=y", "C=", "VIGIL_TEST_PRESENT", "VIGIL_TEST_ABSENT"].reduce(
      (previous, text) => parseEnvironment(text, previous),
      [] as string[],
    );
    expect(collected).toEqual(["A=1", "B=x=y", "C=", "VIGIL_TEST_PRESENT=yes"]);
    expect(() => parseEnvironment("=x")).toThrow(/NAME=VALUE/);
  });
});

test.each([
  [0, "0s"],
  [59_499, "59s"],
  [61_000, "1m 1s"],
  [90_061_000, "1d 1h"],
  [-5, "0s"],
])("an age of %d ms is shown as %s", (milliseconds, text) => expect(formatAge(milliseconds)).toBe(text));
