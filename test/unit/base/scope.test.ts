import { describe, expect, test } from "vitest";
import { Scope } from "../../../src/base/scope.js";

describe("a scope", () => {
  test("closes in reverse order, everything, and tells all failures", async () => {
    const scope = new Scope("test");
    const closed: string[] = [];
    scope.defer(() => void closed.push("first"));
    const owned = scope.own({
      close: () => {
        closed.push("second");
        throw new Error("second failed");
      },
    });
    scope.defer(async () => void closed.push("third"));
    expect(owned).toBeDefined();
    await expect(scope.close()).rejects.toMatchObject({ errors: [{ message: "second failed" }] });
    expect(closed).toEqual(["third", "second", "first"]);
  });

  test("closes once and takes nothing afterwards", async () => {
    const scope = new Scope("test");
    let closed = 0;
    scope.defer(() => {
      closed += 1;
    });
    await scope.close();
    await scope.close();
    expect(closed).toBe(1);
    expect(() => scope.defer(() => undefined)).toThrow("scope test is closed");
  });
});
