/** Time as a port, so that tests own it. */
export interface Clock {
  /** Nanoseconds since 1970. */
  now(): bigint;
  /** Nanoseconds that never go back. */
  elapsed(): bigint;
  /** Calls `fired` once after that time; the returned function cancels. A pending timer does not keep the process alive. */
  after(milliseconds: number, fired: () => void): () => void;
}

/** Longer times overflow setTimeout, which then fires at once. */
const timerMax = 2 ** 31 - 1;

export const systemClock: Clock = {
  // Date.now() has milliseconds; performance.timeOrigin + now() has the microseconds that event timestamps show.
  now: () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n,
  elapsed: () => process.hrtime.bigint(),
  after(milliseconds, fired) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      timer = setTimeout(() => (left > timerMax ? arm(left - timerMax) : fired()), Math.min(left, timerMax));
      timer.unref();
    };
    arm(milliseconds);
    return () => clearTimeout(timer);
  },
};
