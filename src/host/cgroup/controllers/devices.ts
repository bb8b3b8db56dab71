import { refuse } from "../../oci/check.js";
import type { DeviceRule } from "../../oci/resources.js";
import type { CgroupWrite } from "./controller.js";

// What every container may do whatever its rules say: make nodes, and use the devices which the specification gives it
// (null, zero, full, random, urandom, tty, ptmx and its slaves) as well as net/tun, which container networks rely on.
const always = [
  "c *:* m",
  "b *:* m",
  ...["1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "136:*", "10:200"].map((numbers) => `c ${numbers} rwm`),
];

const anyNumber = -1n;

function lineOf(rule: DeviceRule, path: string): string {
  if (!/^[rwm]{1,3}$/.test(rule.access))
    refuse(`${path}.access`, `${JSON.stringify(rule.access)} is not made of r, w, m`);
  const type = rule.type || "a";
  if (type === "p") refuse(`${path}.type`, "a FIFO is not a device");
  if (type === "a") return "a";
  const number = (value: bigint | undefined): string =>
    value === undefined || value === anyNumber ? "*" : String(value);
  return `${type === "u" ? "c" : type} ${number(rule.major)}:${number(rule.minor)} ${rule.access}`;
}

/**
 * The v1 device list, from "nothing allowed" on. The kernel applies the rules in order just as the specification means them,
 * and a type of "a" starts anew. v2 has no such files: its filter is an eBPF program.
 */
export function deviceWrites(rules: readonly DeviceRule[], path: string): CgroupWrite[] {
  return [
    { file: "devices.deny", value: "a" },
    ...rules.map((rule, index) => ({
      file: rule.allow ? "devices.allow" : "devices.deny",
      value: lineOf(rule, `${path}.devices[${index}]`),
    })),
    ...always.map((value) => ({ file: "devices.allow", value })),
  ];
}
