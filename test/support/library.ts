import { createRequire } from "node:module";

const koffi = createRequire(import.meta.url)("koffi");

/** True, with the reason printed, on a machine that lacks a shared library. */
export function skipWithoutLibrary(name: string): boolean {
  try {
    koffi.load(name);
    return false;
  } catch (thrown) {
    console.warn(`skipped: ${name} cannot be loaded: ${thrown instanceof Error ? thrown.message : thrown}`);
    return true;
  }
}
