// Strings first, so that the digits in them are nobody's number.
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
const integer = /^-?\d+$/;
const long = /\d{16}/;
// No string of a configuration begins so: it has a zero byte.
const mark = "\0integer ";

/** As JSON.parse, but integers that a double does not hold are bigints: the specification has numbers of 64 bits. */
export function parseJson(json: string): unknown {
  if (!long.test(json)) return JSON.parse(json);
  const marked = json.replace(tokens, (token) =>
    integer.test(token) && !Number.isSafeInteger(Number(token)) ? JSON.stringify(mark + token) : token,
  );
  return JSON.parse(marked, (_, value: unknown) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}
