import { describe, expect, test } from "vitest";
import { compileDeviceProgram } from "../../../src/host/cgroup/controllers/device-program.js";
import { type DeviceAccess, deviceAccess } from "../../../src/host/cgroup/controllers/devices.js";
import { checkResources } from "../../../src/host/oci/resources.js";
import { type DeviceRequest, runDeviceProgram } from "../../support/bpf.js";
import { seededRandom } from "../../support/seeded-random.js";

const rulesOf = (...devices: object[]): readonly DeviceAccess[] =>
  deviceAccess(checkResources({ devices }, "r").devices, "r");
const grants = (rules: readonly DeviceAccess[], request: DeviceRequest): boolean => {
  const program = compileDeviceProgram(rules);
  return program === undefined || runDeviceProgram(program, request);
};

const denyAll = { allow: false, access: "rwm" };
const disk = (access: string, minor = 0): DeviceRequest => ({ type: "b", major: 8, minor, access });

describe("a device program", () => {
  test("without rules grants what every container may do, and nothing else", () => {
    const rules = rulesOf();
    const terminal: DeviceRequest = { type: "c", major: 136, minor: 7, access: "rw" };
    expect(grants(rules, { type: "c", major: 1, minor: 3, access: "rw" })).toBe(true);
    expect(grants(rules, terminal)).toBe(true);
    expect(grants(rules, disk("m"))).toBe(true);
    expect(grants(rules, disk("r"))).toBe(false);
    expect(grants(rules, disk("rm"))).toBe(false);
    expect(grants(rules, { type: "c", major: 1, minor: 1, access: "r" })).toBe(false);
  });

  test("goes by letter, by number, and by order", () => {
    const rules = rulesOf(
      denyAll,
      { allow: true, type: "b", major: 8, access: "rw" },
      { allow: false, type: "b", major: 8, minor: 1, access: "w" },
    );
    expect(grants(rules, disk("rw"))).toBe(true);
    expect(grants(rules, disk("r", 1))).toBe(true);
    expect(grants(rules, disk("rw", 1))).toBe(false);
    expect(grants(rules, disk("rwm", 2))).toBe(true);
    expect(grants(rules, { ...disk("r"), major: 9 })).toBe(false);
    expect(grants(rules, { ...disk("r"), type: "c" })).toBe(false);
  });

  test("is not needed where everything is allowed, and starts anew with each rule for all", () => {
    const all = { allow: true, access: "rwm" };
    expect(compileDeviceProgram(rulesOf(denyAll, all))).toBeUndefined();
    expect(grants(rulesOf(all, { allow: false, type: "b", major: 8, access: "rwm" }), disk("r"))).toBe(false);
    expect(grants(rulesOf({ allow: true, type: "b", major: 8, access: "r" }, denyAll), disk("r"))).toBe(false);
  });

  test("says what the rules say, of any rules and any request", () => {
    const random = seededRandom();
    const pick = <T>(...values: readonly T[]): T => values[random.below(values.length)] as T;
    const anyRule = () => ({
      allow: pick(true, false),
      type: pick("a", "b", "b", "c", "c", "u"),
      access: pick("r", "w", "m", "rw", "rm", "wm", "rwm"),
      ...pick({}, { major: pick(8, 1, -1, 4_294_967_295) }),
      ...pick({}, { minor: pick(0, 1, 255, -1) }),
    });
    for (let round = 0; round < 2_000; round++) {
      const rules = rulesOf(...Array.from({ length: random.below(8) }, anyRule));
      const request: DeviceRequest = {
        type: pick("b", "c"),
        major: pick(8, 1, 5, 4_294_967_295),
        minor: pick(0, 1, 2, 255),
        access: pick("r", "w", "m", "rw", "rm", "rwm"),
      };
      expect(grants(rules, request), `seed ${random.seed}, round ${round}`).toBe(says(rules, request));
    }
  });
});

/** The same in the words of the specification: for each letter the last rule that speaks of it. */
function says(rules: readonly DeviceAccess[], { type, major, minor, access }: DeviceRequest): boolean {
  const speaks = (rule: DeviceAccess, letter: string): boolean =>
    rule.type === "a" ||
    (rule.type === type &&
      (rule.major === undefined || rule.major === BigInt(major)) &&
      (rule.minor === undefined || rule.minor === BigInt(minor)) &&
      rule.access.includes(letter));
  return [...access].every((letter) => rules.findLast((rule) => speaks(rule, letter))?.allow ?? false);
}
