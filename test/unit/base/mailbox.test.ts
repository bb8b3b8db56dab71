import { describe, expect, test } from "vitest";
import { Mailbox } from "../../../src/base/mailbox.js";
import { gate } from "../../support/gate.js";

describe("a mailbox", () => {
  test("starts a task on the spot when idle, and the others one after the other", async () => {
    const mailbox = new Mailbox({ capacity: 8 });
    const seen: string[] = [];
    let release: () => void = () => undefined;
    const first = mailbox.run(async () => {
      seen.push("first begins");
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      seen.push("first ends");
    });
    expect(seen).toEqual(["first begins"]);
    const second = mailbox.run(async () => void seen.push("second"));
    const third = mailbox.run(async () => void seen.push("third"));
    await Promise.resolve();
    expect(seen).toEqual(["first begins"]);
    release();
    await Promise.all([first, second, third]);
    expect(seen).toEqual(["first begins", "first ends", "second", "third"]);
  });

  test("goes on after a task that failed", async () => {
    const mailbox = new Mailbox({ capacity: 8 });
    const failed = mailbox.run(() => Promise.reject(new Error("no")));
    const next = mailbox.run(async () => 7);
    await expect(failed).rejects.toThrow("no");
    expect(await next).toBe(7);
    expect(await mailbox.run(async () => 8)).toBe(8);
  });

  test("refuses when it is full", async () => {
    const mailbox = new Mailbox({ capacity: 1 });
    const { opened, open } = gate();
    const first = mailbox.run(() => opened);
    const second = mailbox.run(async () => 2);
    await expect(mailbox.run(async () => 3)).rejects.toMatchObject({ code: "resource_exhausted" });
    open();
    await first;
    expect(await second).toBe(2);
  });
});
