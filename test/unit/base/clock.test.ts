import { expect, test, vi } from "vitest";
import { systemClock } from "../../../src/base/clock.js";

test("a time beyond what a timer can hold does not fire at once", () => {
  vi.useFakeTimers();
  try {
    const month = 31 * 24 * 3600 * 1000;
    const fired = vi.fn();
    systemClock.after(month, fired);
    vi.advanceTimersByTime(month - 1000);
    expect(fired).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1000);
    expect(fired).toHaveBeenCalledOnce();
    const cancelled = vi.fn();
    systemClock.after(month, cancelled)();
    vi.advanceTimersByTime(2 * month);
    expect(cancelled).not.toHaveBeenCalled();
  } finally {
    vi.useRealTimers();
  }
});

test("the time of day agrees with the system's to a millisecond or two", () => {
  const difference = Number(systemClock.now() / 1_000_000n) - Date.now();
  expect(Math.abs(difference)).toBeLessThan(1000);
});
