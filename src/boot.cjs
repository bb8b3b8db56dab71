// Runs one of the bundles beside this file, with its V8 code cache where that fits.
//   node boot.cjs NAME ARGUMENT...       runs NAME.js
//   node boot.cjs --make-cache NAME      runs it with --warm-up and keeps what V8 compiled as NAME.cache
// V8 rejects a cache made by another version of node or with other flags; the bundle then runs without it.
"use strict";
const { readFileSync, renameSync, writeFileSync } = require("node:fs");
const { Script } = require("node:vm");

const making = process.argv[2] === "--make-cache";
const name = process.argv[making ? 3 : 2];
if (!["daemon", "cli", "runtime"].includes(name)) {
  process.stderr.write("usage: boot.cjs [--make-cache] daemon|cli|runtime\n");
  process.exit(64);
}
const filename = `${__dirname}/${name}.js`;

function cacheIfAny() {
  try {
    return readFileSync(`${__dirname}/${name}.cache`);
  } catch {
    // Without a cache the start is slower by some milliseconds and otherwise the same.
    return undefined;
  }
}

const script = new Script(readFileSync(filename, "latin1"), {
  filename,
  cachedData: making ? undefined : cacheIfAny(),
});
if (making) {
  process.argv.splice(2, 2, "--warm-up");
  process.on("exit", (code) => {
    if (code !== 0) return;
    // Renamed into place, so that a daemon that starts meanwhile reads the old one or the new one.
    writeFileSync(`${filename}.new`, script.createCachedData());
    renameSync(`${filename}.new`, `${__dirname}/${name}.cache`);
  });
} else {
  process.argv.splice(2, 1);
}
process.argv[1] = filename;
const bundle = { exports: {} };
script.runInThisContext()(bundle.exports, require, bundle, filename, __dirname);
