/** "key value" lines of a kernel file. Keys come, go and change places from version to version; what is no number is left out. */
export function parseCounters(text: string): ReadonlyMap<string, bigint> {
  const counters = new Map<string, bigint>();
  for (const line of text.split("\n")) {
    const match = /^(\S+) (\d+)$/.exec(line);
    if (match?.[1] !== undefined) counters.set(match[1], BigInt(match[2] ?? "0"));
  }
  return counters;
}
