import { refuse } from "../../oci/check.js";
import type { DeviceRule } from "../../oci/resources.js";
import type { CgroupWrite } from "./controller.js";

/** A rule as both versions take it. */
export interface DeviceAccess {
  readonly allow: boolean;
  /** "a": all devices, in every way. It starts anew, whatever came before. */
  readonly type: "a" | "b" | "c";
  /** Undefined: any. */
  readonly major: bigint | undefined;
  readonly minor: bigint | undefined;
  /** Of r, w, m. */
  readonly access: string;
}

const anyNumber = -1n;

const allowed = (type: "b" | "c", access: string, major?: bigint, minor?: bigint): DeviceAccess => ({
  allow: true,
  type,
  major,
  minor,
  access,
});

// What every container may do whatever its rules say: make nodes, and use the devices which the specification gives it
// (null, zero, full, random, urandom, tty, ptmx and its slaves) as well as net/tun, which container networks rely on.
const always: readonly DeviceAccess[] = [
  allowed("c", "m"),
  allowed("b", "m"),
  ...[3n, 5n, 7n, 8n, 9n].map((minor) => allowed("c", "rwm", 1n, minor)),
  allowed("c", "rwm", 5n, 0n),
  allowed("c", "rwm", 5n, 2n),
  allowed("c", "rwm", 136n),
  allowed("c", "rwm", 10n, 200n),
];

function accessOf(rule: DeviceRule, path: string): DeviceAccess {
  const { allow, access } = rule;
  if (!/^[rwm]{1,3}$/.test(access)) refuse(`${path}.access`, `${JSON.stringify(access)} is not made of r, w, m`);
  const type = rule.type || "a";
  if (type === "p") return refuse(`${path}.type`, "a FIFO is not a device");
  const number = (value: bigint | undefined) => (value === anyNumber ? undefined : value);
  return { allow, type: type === "u" ? "c" : type, major: number(rule.major), minor: number(rule.minor), access };
}

/** The container's rules in their order, the last one that speaks of an access counting; before them nothing is allowed. */
export function deviceAccess(rules: readonly DeviceRule[], path: string): readonly DeviceAccess[] {
  return [...rules.map((rule, index) => accessOf(rule, `${path}.devices[${index}]`)), ...always];
}

function lineOf({ type, major, minor, access }: DeviceAccess): string {
  return type === "a" ? "a" : `${type} ${major ?? "*"}:${minor ?? "*"} ${access}`;
}

/**
 * The v1 device list, from "nothing allowed" on. The kernel applies the rules in order just as the specification means them,
 * and a type of "a" starts anew.
 */
export function deviceWrites(rules: readonly DeviceRule[], path: string): CgroupWrite[] {
  return [
    { file: "devices.deny", value: "a" },
    ...deviceAccess(rules, path).map((rule) => ({
      file: rule.allow ? "devices.allow" : "devices.deny",
      value: lineOf(rule),
    })),
  ];
}
