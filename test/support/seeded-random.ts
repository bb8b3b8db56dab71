// A reproducible source of chance: the seed is printed, and set again by VIGIL_SEED.
export interface Random {
  readonly seed: number;
  /** 0 ≤ value < 1 */
  next(): number;
  below(limit: number): number;
}

/** mulberry32 (Tommy Ettinger, public domain): small, and good enough to choose moments. */
export function seededRandom(seed = Number(process.env.VIGIL_SEED ?? Date.now() % 1_000_000)): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  return { seed, next, below: (limit) => Math.floor(next() * limit) };
}
