import { refuse } from "../oci/check.js";

/** Far above any machine's, and small enough for a mask (runc has the same). */
const highest = 65_536;

function number(text: string, item: string, path: string): number {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : Number.NaN;
  return value <= highest ? value : refuse(path, `${JSON.stringify(item)} is not a number up to ${highest} or a range`);
}

/** Numbers of CPUs or memory nodes ("0-3,7") as a bit mask of whole 64-bit words; undefined for an empty text. */
export function parseIdList(text: string, path: string): Uint8Array | undefined {
  const ranges = text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")
    .map((item) => {
      const [first = "", last = first, ...more] = item.split("-");
      const range = { first: number(first, item, path), last: number(last, item, path) };
      if (more.length > 0 || range.first > range.last) refuse(path, `${JSON.stringify(item)} is not a range`);
      return range;
    });
  if (ranges.length === 0) return text === "" ? undefined : refuse(path, `nothing is in ${JSON.stringify(text)}`);
  const bits = Math.max(...ranges.map(({ last }) => last)) + 1;
  const mask = new Uint8Array(Math.ceil(bits / 64) * 8);
  for (const { first, last } of ranges) {
    for (let bit = first; bit <= last; bit++) mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return mask;
}
