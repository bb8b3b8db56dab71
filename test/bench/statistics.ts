export interface Summary {
  readonly samples: number;
  readonly median: number;
  readonly p90: number;
}

/** Nearest rank, so every number printed was measured. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

export function summary(values: readonly number[]): Summary {
  const sorted = [...values].sort((left, right) => left - right);
  return { samples: sorted.length, median: quantile(sorted, 0.5), p90: quantile(sorted, 0.9) };
}
