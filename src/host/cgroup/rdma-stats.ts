import { nestedKeyValues } from "./key-values.js";

interface RdmaEntry {
  readonly device: string;
  readonly hcaHandles: number;
  readonly hcaObjects: number;
}

const unlimited = 2 ** 32 - 1;

/** rdma.current and rdma.max, the same on both versions. */
export function parseRdma(text: string | undefined): RdmaEntry[] {
  return [...nestedKeyValues(text)].map(([device, values]) => {
    const number = (key: string): number => {
      const word = values.get(key) ?? "0";
      return word === "max" ? unlimited : Number(word);
    };
    return { device, hcaHandles: number("hca_handle"), hcaObjects: number("hca_object") };
  });
}
