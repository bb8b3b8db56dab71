import type { VigilError } from "../base/errors.js";

/** A request that changes something, as the model sees it: a name for what is done because of it, and how it is answered. */
export interface Call<Result> {
  /** The steps of the request are named `${key}/step`. */
  readonly key: string;
  /** An earlier daemon began it: what was checked then is not checked again, its steps give their kept results. */
  readonly begun: boolean;
  /**
   * From here on it is carried out to the end. Throws deadline_exceeded when its time is over, cancelled when nobody waits for
   * it any more.
   */
  begin(): void;
  answer(result: Result): Uint8Array;
  refuse(error: VigilError): Uint8Array;
}
