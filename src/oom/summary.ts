import { OomReport_Cause as Cause, type OomReport, OomReport_Scope as Scope } from "../gen/vigil/v1/vigil.js";

const units = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** Bytes as people read them: 64 MiB, 1.5 GiB. */
export function showBytes(bytes: bigint): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${units[unit]}`;
}

function who(report: OomReport): string {
  const [first] = report.victims;
  // A name is chosen by the process; quoted, it cannot pass for our words.
  const named = first ? ` ${first.pid} (${JSON.stringify(first.name)})` : "";
  switch (report.scope) {
    case Scope.INIT:
      return `The container's init process${named}`;
    case Scope.EXEC:
      return `The exec ${JSON.stringify(report.execId)}, process${named || " of unknown pid"},`;
    case Scope.CHILD:
      return `A child process${named} of the container`;
    default:
      return `A process${named} of the container`;
  }
}

function why(report: OomReport): string {
  const limit = report.limitBytes > 0n ? ` of ${showBytes(report.limitBytes)}` : "";
  switch (report.cause) {
    case Cause.OWN_LIMIT:
      return `the container reached its own memory limit${limit}`;
    case Cause.ANCESTOR_LIMIT:
      return `the cgroup ${report.limitCgroup} above it reached its limit${limit}`;
    case Cause.HOST:
      return "the machine had no memory left";
    case Cause.USERSPACE:
      return "a program decided so";
    default:
      return "memory ran out; whose limit it was is not known";
  }
}

function nextStep(report: OomReport): string {
  switch (report.cause) {
    case Cause.OWN_LIMIT:
      return "Raise the container's memory limit, or make the program use less.";
    case Cause.ANCESTOR_LIMIT:
      return `Raise the limit of ${report.limitCgroup}, or lower what its members use together; this container's own limit does not help.`;
    case Cause.HOST:
      return "Free memory on the machine, or give containers limits, so that one cannot take it all.";
    default:
      return "See the evidence and the counters of this report.";
  }
}

/** The whole in plain words, with what to do next. */
export function summarise(report: OomReport): string {
  const many = report.kills > 1n ? ` It was one of ${report.kills} kills counted at once.` : "";
  return `${who(report)} was killed because ${why(report)}.${many} ${nextStep(report)}`;
}
