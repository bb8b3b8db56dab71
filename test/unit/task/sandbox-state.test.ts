import { describe, expect, test } from "vitest";
import { nextSandboxStatus, permitInSandbox, type SandboxStatus } from "../../../src/task/sandbox-state.js";

const statuses: readonly SandboxStatus[] = ["created", "ready", "stopping", "stopped"];

describe("a sandbox's steps", () => {
  test.each([
    ["start", ["ready", undefined, undefined, undefined]],
    ["stop", ["stopping", "stopping", undefined, undefined]],
    ["stopped", [undefined, undefined, "stopped", undefined]],
  ] as const)("%s", (step, to) => {
    expect(statuses.map((status) => nextSandboxStatus(status, step))).toEqual(to);
  });

  test.each([
    ["start", ["created"]],
    ["container", ["ready"]],
  ] as const)("%s is permitted when %j, and else refused as a failed precondition", (action, permitted) => {
    const refused = statuses.filter((status) => {
      try {
        permitInSandbox(action, status);
        return false;
      } catch (error) {
        expect(error).toMatchObject({ code: "failed_precondition" });
        return true;
      }
    });
    expect(statuses.filter((status) => !refused.includes(status))).toEqual(permitted);
  });
});
