// Copies koffi's addon for this machine's processor and C library.
// Usage: koffi.mjs OUTPUT
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";

const [output] = process.argv.slice(2);
process.report.excludeNetwork = true;
const library = process.report.getReport().header.glibcVersionRuntime === undefined ? "musl" : "linux";
mkdirSync(dirname(output), { recursive: true });
copyFileSync(`node_modules/@koromix/koffi-linux-${process.arch}/${library}_${process.arch}/koffi.node`, output);
