import type { StdioSpec } from "../../task/ports.js";
import type { Birth, StreamSpec } from "../core/birth.js";
import { refuse } from "../oci/check.js";

export interface StreamPlan {
  readonly streams: Birth["streams"];
  readonly logger: Birth["logger"];
}

const none: StreamSpec = { kind: "null", path: "" };
const noLogger: Birth["logger"] = { argv: [], env: [], mustReady: false };

interface Address {
  /** Empty: a plain path. */
  readonly scheme: string;
  readonly rest: string;
}

function parseAddress(value: string): Address {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/s.exec(value);
  return match ? { scheme: match[1] ?? "", rest: match[2] ?? "" } : { scheme: "", rest: value };
}

function decoded(text: string, name: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return refuse(name, `${JSON.stringify(text)} is not percent-encoded`);
  }
}

function pathOf(text: string, name: string): string {
  const path = decoded(text, name);
  return path.startsWith("/") ? path : refuse(name, `${JSON.stringify(path)} is not an absolute path`);
}

function stream(value: string, name: "stdin" | "stdout" | "stderr"): StreamSpec {
  if (value === "") return none;
  const { scheme, rest } = parseAddress(value);
  if (scheme === "") {
    return { kind: "path", path: rest.startsWith("/") ? rest : refuse(name, `${JSON.stringify(rest)} is not a path`) };
  }
  if (scheme === "fifo") return { kind: "path", path: pathOf(rest, name) };
  if (scheme === "file" && name !== "stdin") return { kind: "file", path: pathOf(rest, name) };
  return refuse(name, `unknown STDIO scheme ${scheme}`);
}

/** Every key of the query and its first value become arguments, in order; a key alone is one argument. */
function loggerArguments(query: string): string[] {
  const seen = new Set<string>();
  return [...new URLSearchParams(query)].flatMap(([key, value]) => {
    if (seen.has(key)) return [];
    seen.add(key);
    return value === "" ? [key] : [key, value];
  });
}

/** A logging program reads the container's pipes itself; what the manager gives for stdin is not used. */
function logger(rest: string, mustReady: boolean, owner: StreamOwner): StreamPlan {
  const [path = "", ...query] = rest.split("?");
  const program = pathOf(path, "stdout");
  const out: StreamSpec = { kind: "logger", path: "" };
  return {
    streams: [none, out, owner.terminal ? none : out],
    logger: {
      argv: [program, ...loggerArguments(query.join("?"))],
      env: [`CONTAINER_ID=${owner.id}`, `CONTAINER_NAMESPACE=${owner.namespace}`],
      mustReady,
    },
  };
}

interface StreamOwner {
  /** The container's, or the exec's. */
  readonly id: string;
  readonly namespace: string;
  readonly terminal: boolean;
}

/** The streams of a process from the addresses that containerd's cio package makes; the scheme of stdout rules. */
export function planStreams(stdio: StdioSpec, id: string, namespace: string): StreamPlan {
  const { scheme, rest } = parseAddress(stdio.stdout);
  if (scheme === "binary" || scheme === "binary-v2") {
    return logger(rest, scheme === "binary-v2", { id, namespace, terminal: stdio.terminal });
  }
  // A terminal has one output.
  const stderr = stdio.terminal ? none : stream(stdio.stderr, "stderr");
  return { streams: [stream(stdio.stdin, "stdin"), stream(stdio.stdout, "stdout"), stderr], logger: noLogger };
}
