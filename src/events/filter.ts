import { VigilError } from "../base/errors.js";
import { eventField, type KeptEvent } from "./topics.js";

/** A filter of containerd's Subscribe looks at `topic`, `namespace` and `event.FIELD`. */
export type Filter = (event: Pick<KeptEvent, "topic" | "namespace" | "typeUrl" | "value">) => boolean;

// containerd's filter syntax (pkg/filters): SELECTOR [OPERATOR VALUE], joined by commas; a value is a word or quoted; a field of
// a selector may be quoted.
const part =
  /^([A-Za-z_][\w]*|"(?:[^"\\]|\\.)*")((?:\.(?:[A-Za-z_][\w]*|"(?:[^"\\]|\\.)*"))*)(?:(==|!=|~=)("(?:[^"\\]|\\.)*"|[^,"]*))?(?:,|$)/;
const fieldName = /[A-Za-z_]\w*|"(?:[^"\\]|\\.)*"/g;

function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  try {
    return JSON.parse(text) as string;
  } catch (error) {
    throw new VigilError("invalid_argument", `filter value ${text}`, { cause: error });
  }
}

function condition(path: readonly string[], operator: string | undefined, value: string): Filter {
  switch (operator) {
    case "==":
      return (event) => eventField(event, path) === value;
    case "!=":
      return (event) => eventField(event, path) !== value;
    case "~=": {
      const pattern = expression(value);
      return (event) => pattern.test(eventField(event, path) ?? "");
    }
    default:
      return (event) => (eventField(event, path) ?? "") !== "";
  }
}

function expression(source: string): RegExp {
  try {
    return new RegExp(source);
  } catch (error) {
    throw new VigilError("invalid_argument", `filter pattern ${JSON.stringify(source)}`, { cause: error });
  }
}

function parse(text: string): Filter {
  const conditions: Filter[] = [];
  let rest = text;
  while (rest !== "") {
    const match = part.exec(rest);
    if (!match)
      throw new VigilError(
        "invalid_argument",
        `filter ${JSON.stringify(text)}: not understood at ${JSON.stringify(rest)}`,
      );
    const [whole, first = "", more = "", operator, value = ""] = match;
    const path = [first, ...(more.match(fieldName) ?? [])].map(unquote);
    conditions.push(condition(path, operator, unquote(value)));
    rest = rest.slice(whole.length);
  }
  return (event) => conditions.every((holds) => holds(event));
}

/** Any of the filters; none lets everything through. */
export function compileFilters(filters: readonly string[]): Filter {
  const compiled = filters.filter((text) => text !== "").map(parse);
  return compiled.length === 0 ? () => true : (event) => compiled.some((passes) => passes(event));
}
