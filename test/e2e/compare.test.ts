// Every scenario is played with the stock shim and with vigil under the same containerd; what is seen must be the same.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bed, chosenVersions, stockRuntime } from "../support/bed.js";
import { type Containerd, type Namespace, startContainerd } from "../support/containerd.js";
import { leftSince, takeSnapshot } from "../support/leftovers.js";
import { differences, isCutShort } from "./compare.js";
import { eventsOf, play } from "./play.js";
import { progress, report } from "./report.js";
import type { Scenario } from "./scenario.js";
import { configuring } from "./scenarios/configuring.js";
import { controlling } from "./scenarios/controlling.js";
import { oom } from "./scenarios/oom.js";
import { restarting } from "./scenarios/restarting.js";
import { running } from "./scenarios/running.js";
import { specifying } from "./scenarios/specifying.js";

const filter = (process.env.VIGIL_E2E_FILTER ?? "").split(",");
const smokeOnly = process.env.VIGIL_E2E_SMOKE === "1";
const scenarios: readonly Scenario[] = [
  ...running,
  ...controlling,
  ...configuring,
  ...specifying,
  ...oom,
  ...restarting,
]
  .filter((scenario) => !smokeOnly || scenario.smoke === true)
  .filter((scenario) => filter.some((text) => scenario.name.includes(text)));

/** How often more the stock shim may play a scenario that it did not do itself, and either one that ctr has spoilt. */
const furtherTries = 2;

async function timed<T>(work: Promise<T>): Promise<readonly [T, number]> {
  const begin = performance.now();
  return [await work, Math.round(performance.now() - begin)];
}

describe.each(chosenVersions())("containerd %s", (version) => {
  let containerd: Containerd;
  let stockSide: Namespace;
  let testedSide: Namespace;
  let before: readonly string[];
  const whole: { scenario: string; id: string; events: unknown }[] = [];

  beforeAll(async () => {
    containerd = await startContainerd(version);
    before = await takeSnapshot(containerd);
    [stockSide, testedSide] = await Promise.all([
      containerd.another("s", bed.referenceOci),
      containerd.another("t", bed.ociRuntime),
    ]);
  });
  afterAll(async () => {
    await containerd.close();
  });

  test.for(scenarios.map((scenario, at) => ({ scenario, at })))(
    "$scenario.name",
    async ({ scenario, at }, { skip }) => {
      const reason = scenario.skip?.(version);
      if (reason !== undefined) {
        progress(`skip  ${version}  ${scenario.name}: ${reason}`);
        skip(reason);
      }
      const ids = { stock: `s${at}`, tested: `t${at}` };
      const playStock = () => timed(play(stockSide, stockRuntime, scenario, ids.stock));
      const playTested = () => timed(play(testedSide, bed.runtime, scenario, ids.tested));
      // Side by side, unless the scenario takes containerd away from its neighbour.
      const alone = scenario.steps.some((step) => "restart" in step);
      const first = playStock();
      if (alone) await first;
      let [[stock, stockMs], [tested, testedMs]] = await Promise.all([first, playTested()]);
      // The stock shim has races of its own. What it does not do itself is nothing to compare with; it may try again.
      for (let again = 1; again <= furtherTries && stock.broken.length > 0; again++) {
        progress(`again ${version}  the stock shim, in ${scenario.name}: ${stock.broken.join("; ")}`);
        ids.stock = `s${at}r${again}`;
        [stock, stockMs] = await playStock();
      }
      for (let again = 1; again <= furtherTries && isCutShort(stock, tested); again++) {
        progress(`again ${version}  ${bed.runtime}, in ${scenario.name}: ctr has not read all`);
        ids.tested = `t${at}r${again}`;
        [tested, testedMs] = await playTested();
      }
      whole.push({ scenario: scenario.name, id: ids.tested, events: tested.events });
      const found = differences(scenario, version, stock, tested, bed.runtime === stockRuntime);
      const faults = found.filter((entry) => entry.reason === undefined);
      report({ scenario: scenario.name, version, stockMs, testedMs, differences: found });
      const mark = faults.length === 0 ? "same " : "DIFF ";
      progress(
        `${mark} ${version}  ${String(stockMs).padStart(5)} ms  ${String(testedMs).padStart(5)} ms  ${scenario.name}`,
      );
      if (stock.lost.length > 0) progress(`      the stock shim lost /tasks/delete of ${stock.lost.join(", ")}`);
      expect(faults).toEqual([]);
    },
  );

  test("no event came after its scenario", async () => {
    await containerd.settled();
    for (const { scenario, id, events } of whole) {
      expect({ scenario, events: eventsOf(containerd, id) }).toEqual({ scenario, events });
    }
    expect(containerd.events.odd).toEqual([]);
  });

  test("nothing is left over", async () => {
    const left = await leftSince(before, containerd);
    const isStock = (entry: string) => entry.includes(stockSide.namespace);
    for (const entry of left.filter(isStock)) progress(`      the stock shim left ${entry}`);
    expect(left.filter((entry) => !isStock(entry))).toEqual([]);
  });
});
