import { VigilError } from "../base/errors.js";
import type { Call } from "./call.js";
import type { Changes, RequestChange } from "./changes.js";

/** What a request achieved: its result and what that changed. */
export interface Outcome<Result> extends Omit<RequestChange, "reply"> {
  readonly result: Result;
}

/**
 * Carries a request out. `permit` throws what refuses it before anything is done, then nothing is kept of it; a replayed request
 * was permitted by the daemon that began it. From then on it ends with a commit, of its outcome or of its failure.
 */
export async function carryOut<Result>(
  changes: Changes,
  call: Call<Result>,
  permit: () => void,
  work: () => Promise<Outcome<Result>> | Outcome<Result>,
): Promise<Uint8Array> {
  if (!call.begun) {
    permit();
    call.begin();
  }
  let change: RequestChange;
  try {
    const made = work();
    // What needs no step is committed within this turn: a fact that comes next must find it done.
    const { result, ...changed } = made instanceof Promise ? await made : made;
    change = { ...changed, reply: call.answer(result) };
  } catch (error) {
    change = { reply: call.refuse(VigilError.from(error)) };
  }
  return changes.request(call.key, change);
}
