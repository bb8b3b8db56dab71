// The kernel's own record of each OOM kill: the tracepoint oom:mark_victim, stamped with CLOCK_MONOTONIC.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Victims {
  /** When the kernel chose that process, in nanoseconds of the monotonic clock. */
  timeOf(pid: number): bigint | undefined;
  close(): void;
}

const usual = "/sys/kernel/tracing";

/** Undefined when the kernel offers no tracing here. */
export function watchVictims(): Victims | undefined {
  let mounted: string | undefined;
  let root = usual;
  if (!existsSync(join(usual, "instances"))) {
    mounted = mkdtempSync("/tmp/vgt-");
    root = mounted;
    try {
      execFileSync("mount", ["-t", "tracefs", "vigil-bench", root], { stdio: "pipe" });
    } catch {
      // No tracefs in this kernel, or not for us: the caller says that nothing was measured.
      rmdirSync(root);
      return undefined;
    }
  }
  const instance = join(root, "instances", `vigil-${process.pid}`);
  mkdirSync(instance);
  writeFileSync(join(instance, "trace_clock"), "mono");
  writeFileSync(join(instance, "events/oom/mark_victim/enable"), "1");
  return {
    timeOf: (pid) => {
      const line = new RegExp(`(\\d+)\\.(\\d{6}): mark_victim: pid=${pid}\\b`).exec(
        readFileSync(join(instance, "trace"), "utf8"),
      );
      return line === null ? undefined : BigInt(line[1] ?? "") * 1_000_000_000n + BigInt(line[2] ?? "") * 1000n;
    },
    close: () => {
      writeFileSync(join(instance, "events/oom/mark_victim/enable"), "0");
      rmdirSync(instance);
      if (mounted !== undefined) {
        execFileSync("umount", [mounted]);
        rmdirSync(mounted);
      }
    },
  };
}
