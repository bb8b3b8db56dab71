import type { Log } from "../base/log.js";
import type { Store } from "./store.js";

/** What every command gets: the global options, taken apart. */
export interface Context {
  readonly store: Store;
  readonly log: Log;
  /** CRIU's program, absolute if it was found. */
  readonly criu: string;
}
