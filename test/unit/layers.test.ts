// Who may import whom. Commands go down (rpc, task, host, core), facts come up; the model knows nobody.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const top = join(dirname(fileURLToPath(import.meta.url)), "../..");

interface Layer {
  /** Folders and files (without suffix) of src/; a layer may always import itself. */
  readonly layers: readonly string[] | "all";
  /** Node's own modules and packages, or none: then the layer runs anywhere, and only on what it is handed. */
  readonly outside: boolean;
}

const rules: Readonly<Record<string, Layer>> = {
  base: { layers: [], outside: true },
  gen: { layers: [], outside: true },
  task: { layers: ["base"], outside: false },
  // Of the wire only the metrics: they are the kernel's counters under their own names.
  host: { layers: ["task/ports", "task/facts", "base", "gen/containerd/cgroups"], outside: true },
  events: { layers: ["task", "base", "gen"], outside: true },
  oom: { layers: ["task", "base", "gen"], outside: true },
  rpc: { layers: ["task", "base", "gen"], outside: true },
  client: { layers: ["gen", "base"], outside: true },
  // The messages are what the client hands to the verbs; `doctor` sees the host's cgroups as the daemon would, and `oom` reads
  // reports whose shim is gone.
  cli: { layers: ["client", "base", "gen", "host/cgroup/detect", "oom/report-json"], outside: true },
  monitor: { layers: ["client", "base"], outside: true },
  // A runtime without a supervisor: plans are made as in the daemon, and carried out by a program of its own.
  "oci-runtime": {
    layers: ["host", "task/ports", "base", "gen/containerd/cgroups", "cli/quantities", "client/spec"],
    outside: true,
  },
  daemon: { layers: "all", outside: true },
  main: { layers: ["cli"], outside: true },
};

/** Packages that belong to one place. */
const packageHomes: Readonly<Record<string, string>> = { koffi: "host/core/" };

/** What is wrong with the imports of one file, `path` being relative to src/; a sentence each. */
function violations(path: string, text: string): string[] {
  const layer = path.replace(/\.ts$/, "").split("/")[0] ?? "";
  const rule = rules[layer];
  if (rule === undefined) return [`${path}: src/${layer} is in no rule of this test`];
  return importsOf(text).flatMap((name) => {
    if (!name.startsWith(".")) {
      const home = packageHomes[name];
      if (home !== undefined && !path.startsWith(home)) return [`${path} imports ${name}: only src/${home} may`];
      return rule.outside ? [] : [`${path} imports ${name}: ${layer} imports nothing from outside`];
    }
    const target = normalize(join(dirname(path), name)).replace(/\.js$/, "");
    const targetLayer = target.split("/")[0] ?? "";
    if (targetLayer === "..") return target === "../package.json" ? [] : [`${path} imports ${name}: outside of src/`];
    if (targetLayer === layer || rule.layers === "all") return [];
    const allowed = rule.layers.some((entry) => target === entry || target.startsWith(`${entry}/`));
    return allowed ? [] : [`${path} imports ${name}: ${layer} may import ${["itself", ...rule.layers].join(", ")}`];
  });
}

/** Module names of every import and re-export, static and dynamic, of values and of types. */
function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  const statement = /^\s*(?:import|export)\b(?:[^;"'`]*?\bfrom)?\s*["']([^"']+)["']/gm;
  const call = /\b(?:import|require)\(\s*["']([^"']+)["']\s*\)/g;
  return [statement, call].flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ""));
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return relative(join(top, "src"), path) === "gen" ? [] : sources(path);
    return path.endsWith(".ts") ? [path] : [];
  });
}

describe("import layers", () => {
  const files = sources(join(top, "src")).map((path) => relative(join(top, "src"), path));

  test("there is something to check", () => {
    expect(files.length).toBeGreaterThan(10);
    const imports = files.flatMap((path) => importsOf(readFileSync(join(top, "src", path), "utf8")));
    expect(imports.length).toBeGreaterThan(files.length);
  });

  test("every file imports only what its layer may", () => {
    expect(files.flatMap((path) => violations(path, readFileSync(join(top, "src", path), "utf8")))).toEqual([]);
  });
});

describe("the check itself", () => {
  test.each([
    ["task/container.ts", 'import { plan } from "../host/runtime/plan.js";'],
    ["task/container.ts", 'import type { Task } from "../gen/containerd/task/v3/shim.js";'],
    ["task/container.ts", 'import { readFileSync } from "node:fs";'],
    ["rpc/grpc.ts", 'export { plan } from "../host/runtime/plan.js";'],
    ["rpc/grpc.ts", 'const { plan } = await import("../host/runtime/plan.js");'],
    ["host/cgroup/v2.ts", 'import koffi from "koffi";'],
    ["host/cgroup/v2.ts", 'import {\n  registry,\n  other,\n} from "../../task/registry.js";'],
    ["client/shim.ts", 'import "../daemon/main.js";'],
    ["cli/run.ts", 'import type * as ports from "../task/ports.js";'],
    ["host/cgroup/v2.ts", 'import type { Mount } from "../../gen/containerd/types/mount.js";'],
    ["base/scope.ts", 'import { container } from "../task/container.js";'],
    ["nowhere/file.ts", ""],
  ])("%s: %s is refused", (path, text) => {
    const found = violations(path, text);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(path);
  });

  test.each([
    ["task/container.ts", 'import { VigilError } from "../base/errors.js";\nimport { next } from "./state.js";'],
    [
      "rpc/task-service.ts",
      'import type { Registry } from "../task/registry.js";\nimport { createHash } from "node:crypto";',
    ],
    ["host/core/fds.ts", 'import koffi from "koffi";\nimport type { Host } from "../../task/ports.js";'],
    ["daemon/serve.ts", 'import { grpc } from "../rpc/grpc.js";\nimport { watch } from "../host/cgroup/watch.js";'],
    ["main.ts", 'const { run } = await import("./cli/run.js");'],
    ["task/words.ts", '// import { x } from "../host/x.js";\nconst text = "imported from elsewhere";'],
  ])("%s: %s is accepted", (path, text) => {
    expect(violations(path, text)).toEqual([]);
  });
});
