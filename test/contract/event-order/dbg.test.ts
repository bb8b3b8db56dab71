import { test } from "vitest";
import { SimCore } from "../../support/sim-core.js";
import { play, finish, check } from "./event-order.test.js";
test("dbg", async () => {
  const core = new SimCore(); core.start(); core.privatePids = process.env.PP !== "0";
  const steps: any[] = JSON.parse(process.env.STEPS!);
  await play(core, { do: "create", id: "c1" } as any);
  const show = (w: any) => console.log(JSON.stringify(w), "facts", core.facts.map(f => f.kind + f.seq + f.container).join(), "waiting", core.waiting, "req", core.requests.map(r => r.name + (r.begun ? "*" : "") + ":" + r.answers.join("|")).join(";"), "pub", core.published.map(p=>p.containerId+p.event.kind).join());
  for (const s of steps) { await play(core, s); show(s); }
  await finish(core); show("end"); check(core);
});
