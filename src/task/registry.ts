import { VigilError } from "../base/errors.js";
import { Mailbox } from "../base/mailbox.js";
import { announceLeaving, applyFact, clearBehind } from "./apply.js";
import type { Call } from "./call.js";
import { carryOut } from "./carry-out.js";
import { Changes, sandboxState } from "./changes.js";
import { Container } from "./container.js";
import type { Fact } from "./facts.js";
import { FactLedger } from "./ledger.js";
import { type Deleted, deleteInit, oomKilled, type World } from "./life.js";
import type { CreateSpec, Journal, Json } from "./ports.js";
import { TaskProcess } from "./process.js";
import { loadSandbox, type Sandbox } from "./sandbox.js";
import { permitInSandbox } from "./sandbox-state.js";
import { load } from "./saved.js";

/** Requests about the sandbox that wait for one another; more than one is a client's mistake. */
const sandboxRequestsMax = 64;

/** All containers of this shim, in the order of their creation; the way of facts to them. */
export class Registry {
  readonly world: World;
  /** The pod, when this shim was started for one. */
  sandbox: Sandbox | undefined;
  readonly sandboxRequests = new Mailbox({ capacity: sandboxRequestsMax });
  readonly #ledger = new FactLedger();
  readonly #containers = new Map<string, Container>();
  /** Facts of containers whose Create is not committed: TaskCreate comes before everything else. */
  readonly #creating = new Map<string, Fact[]>();
  /** Replayed facts of unknown containers, until the replayed requests have said which are being created. */
  readonly #early = new Map<string, Fact[]>();

  constructor(options: Omit<World, "changes"> & { readonly journal: Journal; readonly bootId: string }) {
    const { journal, bootId, ...world } = options;
    this.world = { ...world, changes: new Changes(journal, this.#ledger, bootId) };
  }

  get containers(): Iterable<Container> {
    return this.#containers.values();
  }

  /** No container, none on its way, no pod that waits for one: Shutdown may end the shim. */
  get empty(): boolean {
    return !this.occupied && this.sandbox === undefined;
  }

  get occupied(): boolean {
    return this.#containers.size > 0 || this.#creating.size > 0;
  }

  get size(): number {
    return this.#containers.size;
  }

  find(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  get(id: string): Container {
    const container = this.#containers.get(id);
    if (!container) throw new VigilError("not_found", "container not created");
    return container;
  }

  getSandbox(id: string): Sandbox {
    const { sandbox } = this;
    if (sandbox?.spec.id !== id) throw new VigilError("not_found", `sandbox ${id}`);
    return sandbox;
  }

  // ---- hand-over: restore*, fact*, requests, synced ----

  restore(id: string, state: Json): void {
    if (id === sandboxState) this.sandbox = loadSandbox(state);
    else this.#containers.set(id, load(id, state));
  }

  synced(): void {
    const { changes } = this.world;
    for (const facts of this.#early.values()) {
      for (const fact of facts) changes.cover(fact.seq);
    }
    this.#early.clear();
    changes.restoring = false;
    for (const container of this.#containers.values()) {
      clearBehind(this.world, container);
      announceLeaving(this.world, container);
    }
    changes.flush();
  }

  // ---- facts ----

  fact(fact: Fact): void {
    const { changes, log } = this.world;
    this.#ledger.arrived(fact.seq);
    const container = this.#containers.get(fact.container);
    const creating = this.#creating.get(fact.container);
    if (container) {
      applyFact(this.world, container, fact);
    } else if (creating) {
      creating.push(fact);
    } else if (changes.restoring) {
      const early = this.#early.get(fact.container);
      if (early) early.push(fact);
      else this.#early.set(fact.container, [fact]);
    } else {
      log.debug("a fact of a container that is gone", { container: fact.container, fact: fact.kind });
      changes.cover(fact.seq);
    }
  }

  /** The facts that arrived together have all been applied. */
  flush(): void {
    this.world.changes.flush();
  }

  // ---- requests that make and end containers ----

  /** `read` gives the rest of the request; a replayed Create is known by its id before SYNCED, however long that takes. */
  create(id: string, read: () => Promise<CreateSpec>, call: Call<number>): Promise<Uint8Array> {
    const held = this.#early.get(id) ?? [];
    const allowed = (): void => {
      if (this.#containers.has(id) || this.#creating.has(id)) {
        throw new VigilError("already_exists", `container ${id} already exists`);
      }
      if (this.sandbox) permitInSandbox("container", this.sandbox.status);
    };
    return carryOut(this.world.changes, call, allowed, async (conclude) => {
      this.#early.delete(id);
      this.#creating.set(id, held);
      try {
        const spec = await read();
        const created = await this.world.runtime.create(`${call.key}/create`, spec);
        const fact = held.findLast((item) => item.kind === "created");
        const at = fact?.at ?? this.world.clock.now();
        const container = new Container({
          id,
          bundle: spec.bundle,
          handle: created.handle,
          privatePids: created.privatePids,
          init: new TaskProcess({ execId: "", stdio: spec.stdio, pid: created.pid }),
          createdAt: at,
          lastFact: fact?.seq ?? 0n,
        });
        const { bundle, rootfs, stdio, checkpoint } = spec;
        const event = { kind: "create", bundle, rootfs, stdio, checkpoint, pid: created.pid } as const;
        const announcement = container.announcement(event, at, fact?.seq);
        return conclude({
          result: created.pid,
          containers: [container],
          announcements: [announcement],
          // Older ones are of an earlier container of that id.
          covers: held.filter(({ seq }) => seq <= container.lastFact).map(({ seq }) => seq),
          sent: () => this.#created(container, held),
        });
      } catch (error) {
        throw this.#createFailed(id, held, error);
      }
    });
  }

  #created(container: Container, held: readonly Fact[]): void {
    this.#creating.delete(container.id);
    this.#containers.set(container.id, container);
    for (const fact of held) {
      if (fact.seq > container.lastFact) applyFact(this.world, container, fact);
    }
    this.world.changes.flush();
  }

  /** Nothing remains of it, so nothing is announced; but an OOM kill is the reason of the failure. */
  #createFailed(id: string, held: readonly Fact[], error: unknown): unknown {
    this.#creating.delete(id);
    let killed = false;
    for (const fact of held) {
      if (fact.kind === "oom") {
        killed = true;
        this.world.reports.record(fact, { limitsChangedAt: 0n, announced: false });
      } else if (fact.kind === "exited") {
        this.world.reports.attribute(fact, false);
      }
      this.world.changes.cover(fact.seq);
    }
    return killed ? oomKilled("container init", error) : error;
  }

  delete(container: Container, call: Call<Deleted>): Promise<Uint8Array> {
    return deleteInit(this.world, container, call, () => this.#containers.delete(container.id));
  }
}
