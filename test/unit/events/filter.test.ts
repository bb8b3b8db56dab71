import { describe, expect, test } from "vitest";
import { compileFilters } from "../../../src/events/filter.js";
import { decodeEntry, encodeEntry } from "../../../src/events/topics.js";
import type { TaskEvent } from "../../../src/task/ports.js";

const event = (kind: TaskEvent, topic: string) =>
  decodeEntry(1n, 0n, encodeEntry("k8s.io", { topic, containerId: "c-1", event: kind, at: 1n, fact: 0n }));
const oom = event({ kind: "oom" }, "/tasks/oom");
const exit = event({ kind: "exit", id: "e1", pid: 1, exitStatus: 0, exitedAt: 1n }, "/tasks/exit");

// The forms of containerd's documentation and of its clients (CRI, ctr, moby).
describe("a filter", () => {
  test.each([
    [[], true, true],
    [[""], true, true],
    [['topic=="/tasks/oom"'], true, false],
    [["topic==/tasks/oom"], true, false],
    [['topic!="/tasks/oom"'], false, true],
    [['topic~="/tasks/"'], true, true],
    [['topic~="^/images/"'], false, false],
    [["namespace==k8s.io"], true, true],
    [["namespace==moby"], false, false],
    [['namespace=="k8s.io",topic=="/tasks/exit"'], false, true],
    [["event.container_id==c-1"], true, true],
    [["event.id==e1"], false, true],
    [["event.id"], false, true],
    [["event.nothing"], false, false],
    [['topic=="/tasks/oom"', 'topic=="/tasks/exit"'], true, true],
    [["event.container_id==other", "event.id==e1"], false, true],
  ])("%j", (filters, passesOom, passesExit) => {
    const passes = compileFilters(filters);
    expect([passes(oom), passes(exit)]).toEqual([passesOom, passesExit]);
  });

  test.each([["=="], ["topic=/x"], ['topic~="("'], ['topic==a b"c'], ["1x"]])("%j is refused", (filter) => {
    expect(() => compileFilters([filter])).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});
