import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { VigilError } from "../base/errors.js";
import type { Mount } from "../gen/containerd/types/mount.js";

/** A directory made for one container: `config.json`, its FIFOs, and the writable layer over a shared root file system. */
export interface Bundle {
  readonly path: string;
  /** For the Create request: mounted by the shim on `rootfs`, unmounted by it on Delete. */
  readonly rootfs: readonly Mount[];
}

const run = promisify(execFile);
const overlayMagic = 0x794c7630; // statfs(2), OVERLAYFS_SUPER_MAGIC

export async function makeBundle(path: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true, mode: 0o700 });
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    const next = `take another name, or remove it with \`vigil rm -f ${basename(path)}\``;
    throw new VigilError("already_exists", `${path} is in use by a container of that name: ${next}`, { cause });
  }
}

export async function writeConfig(bundle: string, spec: object): Promise<void> {
  await writeFile(join(bundle, "config.json"), JSON.stringify(spec, null, 2), { mode: 0o600 });
}

/**
 * A private, writable view of a root file system that is shared by many containers. An overlay costs nothing, but its upper
 * layer may not lie on another overlay (kernel, overlayfs.rst, "Permission model"); there, and where the path holds a
 * character that separates overlay options, the tree is copied.
 */
export async function layRootfs(bundle: string, lower: string): Promise<Mount[]> {
  const root = join(bundle, "rootfs");
  await mkdir(root, { mode: 0o755 });
  const onOverlay = (await statfs(bundle)).type === overlayMagic;
  if (onOverlay || /[:,\\]/.test(lower + bundle)) {
    await run("cp", ["-a", "--", `${lower}/.`, root]);
    return [];
  }
  const upper = join(bundle, "upper");
  const work = join(bundle, "work");
  await mkdir(upper, { mode: 0o755 });
  await mkdir(work, { mode: 0o755 });
  const options = [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
  return [{ type: "overlay", source: "overlay", target: "", options }];
}

/** Removes a bundle, never reaching through a mount that somebody left in it. */
export async function removeBundle(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const mounted = await mountsBelow(path);
  if (mounted.length > 0) {
    throw new VigilError(
      "failed_precondition",
      `${mounted.join(", ")} is still mounted, so ${path} was kept; unmount it (umount -R), then remove the directory`,
    );
  }
  await rm(path, { recursive: true, force: true });
}

async function mountsBelow(path: string): Promise<string[]> {
  const mountinfo = await readFile("/proc/self/mountinfo", "utf8");
  return mountinfo
    .split("\n")
    .map((line) => unescapeMountinfo(line.split(" ")[4] ?? ""))
    .filter((point) => point === path || point.startsWith(`${path}/`));
}

/** proc(5): space, tab, newline and backslash are written as three octal digits. */
function unescapeMountinfo(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
