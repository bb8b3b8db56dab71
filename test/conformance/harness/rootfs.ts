// Copies of a small root file system. A copy of its own for every test: some write to it, and some try to break it.
import { copyFileSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bed } from "../../support/bed.js";
import { runCommand } from "../../support/command.js";

export type Rootfs = (folder: string) => void;

/** Makes the original and returns what copies it. */
export async function rootfsMaker(original: string): Promise<Rootfs> {
  const { code, stderr } = await runCommand([join(bed.top, "tools/rootfs.sh"), original]);
  if (code !== 0) throw new Error(`tools/rootfs.sh: ${stderr}`);
  const programs = readdirSync(join(original, "bin"));
  if (!programs.includes("sh")) throw new Error("no busybox-static on this machine: test/bed/bed.sh setup");
  return (folder) => {
    for (const name of ["bin", "dev", "etc", "proc", "root", "sys", "tmp"]) {
      mkdirSync(join(folder, name), { recursive: true });
    }
    for (const name of programs) {
      const from = join(original, "bin", name);
      if (name === "busybox") copyFileSync(from, join(folder, "bin", name));
      else symlinkSync(readlinkSync(from), join(folder, "bin", name));
    }
    writeFileSync(join(folder, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/tmp:/bin/sh\n");
    writeFileSync(join(folder, "etc/group"), "root:x:0:\nguest:x:1000:\n");
  };
}
