import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const top = join(fileURLToPath(import.meta.url), "../../..");

/** The daemon as it is installed, bundled from the sources as they are now: starts in a tenth of the time that tsx takes. */
export function bundleDaemon(): { readonly boot: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), "vigil-bundle-"));
  const output = join(directory, "daemon.js");
  execFileSync(process.execPath, ["tools/bundle.mjs", "daemon", output, join(directory, "inputs.json")], { cwd: top });
  const boot = join(directory, "boot.cjs");
  copyFileSync(join(top, "src/boot.cjs"), boot);
  return { boot, remove: () => rmSync(directory, { recursive: true }) };
}
