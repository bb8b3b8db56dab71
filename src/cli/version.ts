import packageJson from "../../package.json" with { type: "json" };
import { findShim } from "../client/places.js";
import { print, printJson } from "./output.js";
import type { CommonOptions } from "./verb.js";

export const versionText: string = packageJson.version;

export function version(options: CommonOptions): void {
  const facts = { vigil: versionText, node: process.versions.node, shim: shimPath() };
  if (options.json) printJson(facts);
  else print(`vigil ${facts.vigil}, node ${facts.node}, shim ${facts.shim ?? "not found"}`);
}

function shimPath(): string | null {
  try {
    return findShim();
  } catch {
    // `vigil doctor` says where it was looked for.
    return null;
  }
}
