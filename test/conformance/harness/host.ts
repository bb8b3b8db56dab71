// What this machine offers: what tests depend on, and where the kernel shows it.
import { existsSync, readdirSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { unifiedMemory } from "../../support/bed.js";
import { cgroupsNaming, removeEmptyCgroups } from "../../support/cgroup-tree.js";
import { skip } from "./test.js";

export const cgroupRoot = "/sys/fs/cgroup";
export const cgroupVersion: 1 | 2 = unifiedMemory ? 2 : 1;

/** The directory of a cgroup path: of one controller's hierarchy on version 1, of the only one on version 2. */
export function cgroupDir(controller: string, path: string): string {
  return cgroupVersion === 2 ? join(cgroupRoot, path) : join(cgroupRoot, controller, path);
}

/** TMPFS_MAGIC of linux/magic.h */
const tmpfsMagic = 0x01021994;
const second = join(cgroupRoot, "unified");
// run.sh hides the second hierarchy of a hybrid machine behind an empty folder; some runtimes write there as if it were one.
const secondIsHidden = existsSync(second) && statfsSync(second).type === tmpfsMagic;

/** Every cgroup whose path contains the text. */
export async function cgroupsWith(text: string): Promise<string[]> {
  const found = await cgroupsNaming(text);
  return found.filter((path) => !(secondIsHidden && path.startsWith(`${second}/`)));
}

export async function removeCgroups(text: string): Promise<void> {
  if (secondIsHidden) {
    for (const name of readdirSync(second)) rmSync(join(second, name), { recursive: true });
  }
  await removeEmptyCgroups(text);
}

export function needCgroup(version: 1 | 2): void {
  if (cgroupVersion !== version) skip(`cgroup version ${version} is needed, this machine has ${cgroupVersion}`);
}

export function needController(controller: string): void {
  const present =
    cgroupVersion === 2
      ? readFileSync(join(cgroupRoot, "cgroup.controllers"), "utf8").trim().split(" ").includes(controller)
      : existsSync(join(cgroupRoot, controller));
  if (!present) skip(`no ${controller} controller on this machine`);
}

export function needFile(path: string): void {
  if (!existsSync(path)) skip(`no ${path} on this machine`);
}

const effective = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0"}`);

/** A root without all capabilities, as in a virtual machine's init, cannot ask for everything. */
export function needCapability(name: string, bit: number): void {
  if ((effective & (1n << BigInt(bit))) === 0n) skip(`root lacks ${name} on this machine`);
}

/** The value of a line "Name:\tvalue" of /proc/PID/status. */
export function statusField(status: string, name: string): string {
  const found = new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(status)?.[1];
  if (found === undefined) throw new Error(`no ${name} in ${status}`);
  return found.trim();
}
