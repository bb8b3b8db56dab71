// What a test is. A test file makes its tests with section(); main.ts lists the files.
import type { Bed } from "./bed.js";

export type Body = (t: Bed) => Promise<void>;

export interface Test {
  /** "config-linux.md#masked-paths: a masked file reads as empty" */
  readonly name: string;
  readonly run: Body;
  /** Why no runtime passes it; without such a note a test that fails everywhere fails the suite. */
  readonly everywhere?: string;
}

interface Explained {
  readonly run: Body;
  readonly everywhere: string;
}

/** The tests of one section of the specification, by what each of them states. */
export function section(name: string, tests: Readonly<Record<string, Body | Explained>>): Test[] {
  return Object.entries(tests).map(([states, test]) =>
    typeof test === "function"
      ? { name: `${name}: ${states}`, run: test }
      : { name: `${name}: ${states}`, run: test.run, everywhere: test.everywhere },
  );
}

export function everywhere(why: string, run: Body): Explained {
  return { run, everywhere: why };
}

/** Ends a test that cannot say anything on this machine. */
export class Skipped extends Error {}

export function skip(why: string): never {
  throw new Skipped(why);
}
