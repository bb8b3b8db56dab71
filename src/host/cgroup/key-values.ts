/** A number alone in a file; undefined when there is no file, or a word such as "max" in it. */
export function wholeNumber(text: string | undefined): bigint | undefined {
  const word = text?.trim() ?? "";
  return /^[0-9]+$/.test(word) ? BigInt(word) : undefined;
}

/** Flat keyed files: "KEY NUMBER" a line. Lines that say something else are left out. */
export function keyValues(text: string | undefined): ReadonlyMap<string, bigint> {
  const values = new Map<string, bigint>();
  for (const line of text?.split("\n") ?? []) {
    const [key, value, ...rest] = line.split(" ");
    const number = wholeNumber(value);
    if (key !== undefined && number !== undefined && rest.length === 0) values.set(key, number);
  }
  return values;
}

/** Nested keyed files: "NAME KEY=VALUE KEY=VALUE" a line. */
export function nestedKeyValues(text: string | undefined): ReadonlyMap<string, ReadonlyMap<string, string>> {
  const values = new Map<string, ReadonlyMap<string, string>>();
  for (const line of text?.split("\n") ?? []) {
    const [name, ...pairs] = line.split(" ").filter((word) => word !== "");
    if (name === undefined) continue;
    values.set(
      name,
      new Map(
        pairs.flatMap((pair) => {
          const [key, value] = pair.split("=");
          return key !== undefined && value !== undefined ? [[key, value] as const] : [];
        }),
      ),
    );
  }
  return values;
}
