// Takes out of a program's output what differs from run to run by nature.
export type Replacement = readonly [text: string, name: string];

const volatile: readonly (readonly [RegExp, string])[] = [
  // log lines and ctr's tables
  [/time="[^"]*"/g, 'time="<TIME>"'],
  [/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?[+-]\d{4}| ?UTC|Z)*/g, "<TIME>"],
  [/\b1[6-9]\d{8}(\.\d+)?\b/g, "<TIME>"],
  [/"(pid|task_pid|shim_pid)":\s*\d+/g, '"$1":<PID>'],
  [/\bpid[= ]\d+/g, "pid <PID>"],
];

export function normalise(text: string, replacements: readonly Replacement[]): string {
  let result = text.replaceAll("\r\n", "\n");
  for (const [from, to] of replacements) result = result.replaceAll(from, to);
  for (const [pattern, name] of volatile) result = result.replace(pattern, name);
  // Columns are padded to the widest pid.
  return result
    .split("\n")
    .map((line) => line.replace(/[ \t]+/g, " ").trimEnd())
    .map((line) => line.replace(/^(<ID>\S*) \d+ (RUNNING|STOPPED|PAUSED|CREATED|UNKNOWN)$/, "$1 <PID> $2"))
    .join("\n")
    .trimEnd();
}

/** containerd appends its error class to a message; ctr prints it last. */
const classes = [
  "not found",
  "already exists",
  "failed precondition",
  "not implemented",
  "invalid argument",
  "deadline exceeded",
  "unavailable",
  "internal error",
];

export function errorKind(stderr: string): string {
  const last = stderr.trim().split("\n").at(-1) ?? "";
  if (last === "") return "";
  const found = classes.find((name) => last.endsWith(name) || last.endsWith(`: ${name}`));
  return `an error (${found ?? "unknown"})`;
}
