import { VigilError } from "../base/errors.js";
import type { Call } from "./call.js";
import type { Changes, RequestChange } from "./changes.js";

/** What a request achieved: its result and what that changed. */
export interface Outcome<Result> extends Omit<RequestChange, "reply"> {
  readonly result: Result;
}

/** Sends the outcome's commit within the call: no fact comes between what was concluded and its commit. */
export type Conclude<Result> = (outcome: Outcome<Result>) => Promise<Uint8Array>;

/**
 * Carries a request out. `permit` throws what refuses it before anything is done, then nothing is kept of it; a replayed request
 * was permitted by the daemon that began it. From then on it ends with a commit, of its outcome (`work` concludes with that) or
 * of its failure.
 */
export async function carryOut<Result>(
  changes: Changes,
  call: Call<Result>,
  permit: () => void,
  work: (conclude: Conclude<Result>) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  if (!call.begun) {
    permit();
    call.begin();
  }
  try {
    return await work(({ result, ...change }) => changes.request(call.key, { ...change, reply: call.answer(result) }));
  } catch (error) {
    return changes.request(call.key, { reply: call.refuse(VigilError.from(error)) });
  }
}
