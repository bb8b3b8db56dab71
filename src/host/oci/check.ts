import { VigilError } from "../../base/errors.js";

/**
 * Checks of parsed JSON that give typed values or say where the value is wrong. Not a library: every container's start runs
 * through here, and loading even the smallest one costs four times what this takes.
 */
export type Check<T> = (value: unknown, path: string) => T;

type Checked<S> = { readonly [K in keyof S]: S[K] extends Check<infer T> ? T : never };

function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "array";
  return typeof value === "bigint" ? "number" : typeof value;
}

export function refuse(path: string, what: string): never {
  throw new VigilError("invalid_argument", `${path}: ${what}`);
}

function expected(path: string, what: string, value: unknown): never {
  return refuse(
    path,
    `expected ${what}, got ${typeof value === "number" || typeof value === "bigint" ? value : nameOf(value)}`,
  );
}

/** The path of a member; a document's own name ends with ":". */
export function member(path: string, key: string): string {
  return path.endsWith(":") ? `${path} ${key}` : `${path}.${key}`;
}

export const text: Check<string> = (value, path) => {
  if (typeof value !== "string") return typeMismatch(path, "string", value);
  // What is made of it are C strings: paths, arguments, file contents.
  if (value.includes("\0")) return refuse(path, "a string with a zero byte in it");
  return value;
};

export const flag: Check<boolean> = (value, path) =>
  typeof value === "boolean" ? value : typeMismatch(path, "boolean", value);

export const absolutePath: Check<string> = (value, path) => {
  const named = text(value, path);
  return named.startsWith("/") ? named : refuse(path, `${JSON.stringify(named)} is not an absolute path`);
};

function typeMismatch(path: string, what: string, value: unknown): never {
  return refuse(path, `expected ${what}, got ${nameOf(value)}`);
}

export function integer(minimum: number, maximum: number): Check<number> {
  return (value, path) => {
    if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
      return expected(path, `an integer from ${minimum} to ${maximum}`, value);
    }
    return value;
  };
}

// Who writes JSON with doubles has 2^63-1 and 2^64-1, which mean "no limit", as the next power of two.
function wide(minimum: bigint, maximum: bigint): Check<bigint> {
  return (value, path) => {
    if (typeof value !== "bigint" && !Number.isInteger(value)) return expected(path, "an integer", value);
    const exact = BigInt(value as bigint | number);
    if (exact > maximum && BigInt(Number(exact)) === maximum + 1n) return maximum;
    if (exact < minimum || exact > maximum) {
      return expected(path, `an integer from ${minimum} to ${maximum}`, value);
    }
    return exact;
  };
}

export const uint32 = integer(0, 2 ** 32 - 1);
export const int64 = wide(-(2n ** 63n), 2n ** 63n - 1n);
export const uint64 = wide(0n, 2n ** 64n - 1n);

export function list<T>(item: Check<T>): Check<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) return typeMismatch(path, "array", value);
    return value.map((each, index) => item(each, `${path}[${index}]`));
  };
}

export function map<T>(item: Check<T>): Check<ReadonlyMap<string, T>> {
  return (value, path) => {
    if (!isObject(value)) return typeMismatch(path, "object", value);
    return new Map(Object.entries(value).map(([key, each]) => [text(key, path), item(each, member(path, key))]));
  };
}

export function oneOf<const T extends string>(choices: readonly T[]): Check<T> {
  return (value, path) => {
    const word = text(value, path);
    const found = choices.find((choice) => choice === word);
    return found ?? refuse(path, `${JSON.stringify(word)} is none of ${choices.join(", ")}`);
  };
}

/** Unknown members pass: the specification lets a newer writer add some. */
export function object<S extends Readonly<Record<string, Check<unknown>>>>(shape: S): Check<Checked<S>> {
  const members = Object.entries(shape);
  return (value, path) => {
    if (!isObject(value)) return typeMismatch(path.replace(/:$/, ""), "object", value);
    const checked: Record<string, unknown> = {};
    for (const [key, check] of members) checked[key] = check(value[key], member(path, key));
    return checked as Checked<S>;
  };
}

/** Absent; null too, as encoders of Go write absent lists and numbers. */
export function maybe<T>(check: Check<T>): Check<T | undefined> {
  return (value, path) => (value === undefined || value === null ? undefined : check(value, path));
}

export function otherwise<T>(check: Check<T>, fallback: T): Check<T> {
  return (value, path) => (value === undefined || value === null ? fallback : check(value, path));
}

/** Whether anything is there that is not empty: for members which are refused and not read. */
export const present: Check<boolean> = (value) => {
  if (value === undefined || value === null || value === false || value === "" || value === 0) return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
};

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
