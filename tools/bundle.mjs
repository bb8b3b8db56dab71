// Bundles one program into a single CommonJS file that src/boot.cjs can run.
// Usage: bundle.mjs daemon|cli|runtime OUTPUT INPUTS     INPUTS gets the list of the bundled files, for licenses.mjs
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { build } from "esbuild";

const entries = { daemon: "src/daemon/main.ts", cli: "src/main.ts", runtime: "src/oci-runtime/main.ts" };
const [name, output, inputs] = process.argv.slice(2);

// koffi looks for its addon in folders of node_modules; the installed program has it beside the bundle.
const koffi = {
  name: "koffi",
  setup(plugins) {
    plugins.onResolve({ filter: /^koffi$/ }, () => ({ path: "koffi", namespace: "addon" }));
    plugins.onLoad({ filter: /.*/, namespace: "addon" }, () => ({
      contents: 'module.exports = require(__dirname + "/koffi.node");',
    }));
  },
};

const result = await build({
  entryPoints: [entries[name]],
  outfile: output,
  write: false,
  metafile: true,
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  // Latin-1 text stays one byte a character in V8, and is read without decoding.
  charset: "ascii",
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: "none",
  plugins: [koffi],
  logLevel: "warning",
});
// The function which boot.cjs calls: an ordinary CommonJS wrapper.
const [file] = result.outputFiles;
for (const path of [output, inputs]) mkdirSync(dirname(path), { recursive: true });
writeFileSync(output, `(function(exports,require,module,__filename,__dirname){${file.text}})`);
writeFileSync(inputs, JSON.stringify(Object.keys(result.metafile.inputs)));
