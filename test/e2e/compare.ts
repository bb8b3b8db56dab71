// Two runs of a scenario side by side.
import type { Version } from "../support/bed.js";
import { errorKind } from "./normalise.js";
import type { Seen } from "./play.js";
import type { Scenario } from "./scenario.js";

export interface Difference {
  readonly field: string;
  readonly stock: string;
  readonly tested: string;
  /** Why it may differ; absent for a fault. */
  readonly reason?: string;
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The stock shim loses the event of a task's deletion now and then; then nobody is asked for it. */
function eventList(seen: Seen, scenario: Scenario, lost: readonly string[]): Record<string, readonly string[]> {
  const shape = (id: string, list: readonly string[]) => {
    const kept = lost.includes(id) ? list.filter((text) => !text.startsWith("/tasks/delete")) : list;
    return scenario.events === "set" ? [...new Set(kept)].sort() : kept;
  };
  return Object.fromEntries(Object.entries(seen.events).map(([id, list]) => [id, shape(id, list)]));
}

/** Every oom of a container comes before the exit of its init. */
function oomAfterExit(events: readonly string[]): boolean {
  const exit = events.findIndex((text) => text.startsWith("/tasks/exit init"));
  return exit >= 0 && events.slice(exit).some((text) => text.startsWith("/tasks/oom"));
}

/** As ctr closes its end of a FIFO when it hears of the exit, what it has not read by then is lost, whoever the shim is. */
export function isCutShort(stock: Seen, tested: Seen): boolean {
  const cut = (whole: string, part: string) => part !== whole && whole.startsWith(part);
  return tested.steps.some(({ stdout, stderr }, at) => {
    const whole = stock.steps[at];
    return whole !== undefined && (cut(whole.stdout, stdout) || cut(whole.stderr, stderr));
  });
}

export function differences(
  scenario: Scenario,
  version: Version,
  stock: Seen,
  tested: Seen,
  sameRuntime: boolean,
): Difference[] {
  const found: Difference[] = [];
  const compare = (field: string, left: unknown, right: unknown) => {
    if (show(left) === show(right)) return;
    const allowed = scenario.allowed?.find(
      (entry) => entry.field.test(field) && (entry.versions === undefined || entry.versions.includes(version)),
    );
    // A client cannot act upon "unknown", so saying more is no difference to it.
    const finer = left === errorKind("unknown") && String(right).startsWith("an error (");
    const reason = finer ? `the stock shim gives no error class; here: ${right}` : allowed?.reason;
    const base = { field, stock: show(left), tested: show(right) };
    found.push(reason === undefined ? base : { ...base, reason });
  };
  for (let at = 0; at < Math.max(stock.steps.length, tested.steps.length); at++) {
    const left = stock.steps[at];
    const right = tested.steps[at];
    const label = left?.label ?? right?.label ?? "";
    compare(`${label} code`, left?.code, right?.code);
    compare(`${label} stdout`, left?.stdout ?? "(not reached)", right?.stdout ?? "(not reached)");
    compare(`${label} stderr`, left?.stderr ?? "(not reached)", right?.stderr ?? "(not reached)");
  }
  const forgiven = sameRuntime ? [...stock.lost, ...tested.lost] : stock.lost;
  compare("events", eventList(stock, scenario, forgiven), eventList(tested, scenario, forgiven));
  for (const [runner, seen] of [
    ["stock", stock],
    ["tested", tested],
  ] as const) {
    for (const text of seen.broken)
      found.push({ field: `${runner} does not do what the scenario says`, stock: "", tested: text });
    if (runner === "tested" && seen.left.length > 0) {
      found.push({ field: "left", stock: show(stock.left), tested: show(seen.left) });
    }
  }
  if (!sameRuntime) {
    for (const id of tested.lost) compare(`events: /tasks/delete of ${id} is missing`, [], tested.events[id] ?? []);
    for (const [id, list] of Object.entries(tested.events)) {
      if (oomAfterExit(list)) found.push({ field: `oom after exit in ${id}`, stock: "", tested: show(list) });
    }
  }
  return found;
}
