import { VigilError } from "../base/errors.js";
import { type Places, places } from "../client/places.js";
import { listShims, type ShimRecord } from "../client/records.js";
import { connectShim, type Shim } from "../client/shim.js";

/** A container by its record: who serves it, whether or not that one still lives. */
export interface Found {
  readonly id: string;
  readonly namespace: string;
  readonly bundle: string;
  readonly shim: ShimRecord;
}

/** `NAME` or `NAMESPACE/NAME`. Ids are unique only within a namespace. */
export function findContainer(name: string, namespace?: string, at: Places = places()): Found {
  const [last = "", first = namespace] = name.split("/", 2).reverse();
  const found = listShims(at)
    .filter((shim) => first === undefined || shim.namespace === first)
    .flatMap((shim) => shim.containers.map(({ id, bundle }) => ({ id, bundle, namespace: shim.namespace, shim })))
    .filter(({ id }) => id === last);
  const [only, another] = found;
  if (another) {
    const choices = found.map((each) => `${each.namespace}/${each.id}`).join(" or ");
    throw new VigilError("invalid_argument", `there are several containers named ${last}: say ${choices}`);
  }
  if (only) return only;
  throw new VigilError("not_found", `there is no container named ${name}; \`vigil ps\` shows those there are`);
}

/** Runs `use` with a connection to a living shim. */
export async function withShim<T>(record: ShimRecord, use: (shim: Shim) => Promise<T>): Promise<T> {
  if (record.pid > 0 && !record.alive) {
    throw new VigilError("unavailable", `the shim of ${record.namespace}/${record.group} (pid ${record.pid}) has died`);
  }
  const shim = connectShim(record.socket);
  try {
    return await use(shim);
  } finally {
    shim.close();
  }
}

/** Does the same for several names; all are tried, and all that failed are told. */
export async function eachName(names: readonly string[], act: (name: string) => Promise<void>): Promise<void> {
  const failures: VigilError[] = [];
  for (const name of names) {
    try {
      await act(name);
    } catch (error) {
      failures.push(VigilError.from(error));
    }
  }
  const [first] = failures;
  if (!first) return;
  throw new VigilError(first.code, failures.map(({ message }) => message).join("\nvigil: "), { cause: first });
}

export function eachContainer(
  names: readonly string[],
  namespace: string | undefined,
  act: (found: Found) => Promise<void>,
): Promise<void> {
  return eachName(names, (name) => act(findContainer(name, namespace)));
}
