import { childrenOf } from "./files.js";

const directory = "/sys/kernel/mm/hugepages";

/** A size as the names of hugetlb files have it: hugepages-2048kB is 2MB. */
export function hugepageSize(name: string): string | undefined {
  const kilobytes = Number(/^hugepages-([0-9]+)kB$/.exec(name)?.[1] ?? Number.NaN);
  if (Number.isNaN(kilobytes)) return undefined;
  if (kilobytes >= 2 ** 20) return `${Math.floor(kilobytes / 2 ** 20)}GB`;
  if (kilobytes >= 2 ** 10) return `${Math.floor(kilobytes / 2 ** 10)}MB`;
  return `${kilobytes}KB`;
}

/** The page sizes of this machine. */
export function hugepageSizes(): string[] {
  return childrenOf(directory).flatMap((name) => hugepageSize(name) ?? []);
}
