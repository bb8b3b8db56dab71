import { describe, expect, test } from "vitest";
import { type Action, next, permit, type Status, type Step } from "../../../src/task/state.js";

const statuses: Status[] = ["created", "running", "pausing", "paused", "stopped", "deleted"];

describe("the state machine", () => {
  // Rows: status; columns: what each step leads to, "" for refused.
  test.each([
    ["created", { start: "running", exit: "stopped", delete: "deleted" }],
    ["running", { pause: "pausing", exit: "stopped" }],
    ["pausing", { paused: "paused", unpaused: "running", exit: "stopped" }],
    ["paused", { resume: "running", exit: "stopped" }],
    ["stopped", { delete: "deleted" }],
    ["deleted", {}],
  ] as [Status, Partial<Record<Step, Status>>][])("%s", (status, steps) => {
    for (const step of ["start", "pause", "paused", "unpaused", "resume", "exit", "delete"] as const) {
      expect(next(status, step), `${status} ${step}`).toBe(steps[step]);
    }
  });
});

describe("what a request may ask of an init", () => {
  // In the order of `statuses`: allowed?
  test.each([
    ["start", [true, false, false, false, false, false]],
    ["pause", [false, true, false, false, false, false]],
    ["resume", [false, false, false, true, false, false]],
    ["delete", [true, false, false, false, true, false]],
    ["exec", [true, true, false, false, false, false]],
    ["update", [true, true, true, true, false, false]],
  ] as [Action, boolean[]][])("%s", (action, allowed) => {
    const permitted = statuses.map((status) => {
      try {
        permit(action, status);
        return true;
      } catch {
        return false;
      }
    });
    expect(permitted).toEqual(allowed);
  });

  test("the words and codes of containerd's shim", () => {
    expect(() => permit("delete", "running")).toThrow(
      expect.objectContaining({ code: "unknown", message: "cannot delete a running process" }),
    );
    expect(() => permit("delete", "deleted")).toThrow(expect.objectContaining({ code: "not_found" }));
    expect(() => permit("start", "stopped", "exec")).toThrow(
      expect.objectContaining({ message: "cannot start a stopped process" }),
    );
    expect(() => permit("resize", "stopped", "exec")).toThrow(
      expect.objectContaining({ message: "cannot resize a stopped container" }),
    );
  });
});
