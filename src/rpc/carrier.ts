import type { Clock } from "../base/clock.js";
import { VigilError } from "../base/errors.js";
import type { Log } from "../base/log.js";
import type { Method, RawCall } from "./method.js";
import { encodeRefusal } from "./status.js";

/** What a transport needs of the core to carry a change out. */
export interface Commits {
  /** The answer of a request that changed nothing, kept like any other. */
  commitReply(key: string, reply: Uint8Array): Promise<void>;
}

export interface Carriage {
  readonly key: string;
  /** By an earlier daemon. */
  readonly begun: boolean;
  /** Marks it as begun in the core. */
  begin(): void;
  /** Clock.elapsed() after which it is not begun any more. */
  readonly deadline: bigint | undefined;
  /** Nobody waits for the answer any more. */
  gone(): boolean;
}

/** How a change ended: with a committed answer, or refused before it began. */
export type Carried = { readonly reply: Uint8Array; readonly committed: boolean };

const expiredMessage = "the deadline passed before the request was begun";

export function expired(clock: Clock, deadline: bigint | undefined): boolean {
  return deadline !== undefined && clock.elapsed() >= deadline;
}

/** Carries a change out, so that whatever happens it has an answer, and a begun one a committed answer. */
export async function carry(
  world: { readonly clock: Clock; readonly log: Log; readonly commits: Commits },
  method: Method & { readonly kind: "change" },
  payload: Uint8Array,
  carriage: Carriage,
): Promise<Carried> {
  let begun = carriage.begun;
  const call: RawCall = {
    key: carriage.key,
    begun: carriage.begun,
    begin() {
      if (carriage.gone()) throw new VigilError("cancelled", "the connection closed before the request was begun");
      if (expired(world.clock, carriage.deadline)) throw new VigilError("deadline_exceeded", expiredMessage);
      begun = true;
      carriage.begin();
    },
  };
  try {
    return { reply: await method.run(payload, call), committed: true };
  } catch (error) {
    const refusal = VigilError.from(error);
    if (!(error instanceof VigilError)) world.log.error("a request failed in the daemon", { key: carriage.key, error });
    const reply = encodeRefusal(refusal);
    if (begun) await world.commits.commitReply(carriage.key, reply);
    return { reply, committed: begun };
  }
}

export function deadlineOf(clock: Clock, timeoutNs: bigint, ageNs: bigint): bigint | undefined {
  return timeoutNs > 0n ? clock.elapsed() + timeoutNs - ageNs : undefined;
}

export function deadlineError(): VigilError {
  return new VigilError("deadline_exceeded", expiredMessage);
}
