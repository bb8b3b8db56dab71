// Writes the licences of the packages inside the bundles.
// Usage: licenses.mjs OUTPUT INPUTS...     INPUTS as bundle.mjs writes them
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const [output, ...lists] = process.argv.slice(2);
const inputs = lists.flatMap((list) => JSON.parse(readFileSync(list, "utf8")));
const folders = new Set(["node_modules/koffi"]);
for (const input of inputs) {
  const folder = /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(input)?.[0];
  if (folder !== undefined) folders.add(folder);
}
const texts = [...folders].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file !== undefined ? readFileSync(`${folder}/${file}`, "utf8").trim() : "";
  return `${name} ${version} (${license})\n\n${text}`.trim();
});
writeFileSync(output, `${texts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
