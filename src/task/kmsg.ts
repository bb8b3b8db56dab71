/**
 * The kernel's log about OOM kills (mm/oom_kill.c). Names in it are chosen by whoever is killed, so a line counts only when it
 * starts with the kernel's own words, and its fields are read from the right, behind the names.
 */

/** "Killed process …": always printed, one for each victim. */
export interface KillLine {
  readonly pid: number;
  /** At most 15 bytes, chosen by the process itself. */
  readonly name: string;
  readonly totalVm: bigint;
  readonly anonRss: bigint;
  readonly fileRss: bigint;
  readonly shmemRss: bigint;
  readonly uid: number;
  readonly oomScoreAdj: number;
  /** The machine itself had no memory left, by the line's first words. */
  readonly host: boolean;
}

/** "oom-kill:…": whose limit it was and whose process; rate-limited by the kernel. */
export interface KillSummary {
  readonly pid: number;
  /** Path of the cgroup whose limit was reached; undefined: the machine's memory. */
  readonly limitCgroup: string | undefined;
  readonly taskCgroup: string;
}

/** "prio,seq,usec,flags;" before the text of a record of /dev/kmsg. */
const header = /^\d+,\d+,\d+,[^;]*;/;
const kill =
  /^(Memory cgroup out of memory|Out of memory(?: \([^)]*\))?): Kill(?:ed)? process (\d+) \((.{0,60})\)(?:,? .*)? ?total-vm:(\d+)kB, anon-rss:(\d+)kB, file-rss:(\d+)kB(?:, shmem-rss:(\d+)kB)?(?:, UID:(\d+))?(?: pgtables:\d+(?:kB)?)?(?: oom_score_adj:(-?\d+))?$/;
// 4.x prints the victim on a line of its own, without saying why.
const oldKill =
  /^()Killed process (\d+) \((.{0,60})\),? (?:UID \d+, )?total-vm:(\d+)kB, anon-rss:(\d+)kB, file-rss:(\d+)kB(?:, shmem-rss:(\d+)kB)?()()$/;
const summaryEnd = /,pid=(\d+),uid=\d+$/;

const kibibytes = (digits: string | undefined): bigint => BigInt(digits ?? "0") * 1024n;

const text = (line: string): string => line.replace(header, "");

export function parseKill(line: string): KillLine | undefined {
  const match = kill.exec(text(line)) ?? oldKill.exec(text(line));
  if (!match) return undefined;
  const [, why = "", pid, name = "", totalVm, anonRss, fileRss, shmemRss, uid, oomScoreAdj] = match;
  return {
    pid: Number(pid),
    name,
    totalVm: kibibytes(totalVm),
    anonRss: kibibytes(anonRss),
    fileRss: kibibytes(fileRss),
    shmemRss: kibibytes(shmemRss),
    uid: Number(uid || "0"),
    oomScoreAdj: Number(oomScoreAdj || "0"),
    host: why.startsWith("Out of memory"),
  };
}

const marks = { limit: ",oom_memcg=", global: ",global_oom,", task: ",task_memcg=", name: ",task=" } as const;

function once(line: string, mark: string): number {
  const at = line.indexOf(mark);
  return at >= 0 && line.indexOf(mark, at + 1) < 0 ? at : -1;
}

/** Undefined also for a line in which a name imitates a field: it would prove nothing. */
export function parseSummary(line: string): KillSummary | undefined {
  const record = text(line);
  const end = summaryEnd.exec(record);
  if (!record.startsWith("oom-kill:constraint=") || !end) return undefined;
  const task = once(record, marks.task);
  const name = once(record, marks.name);
  if (task < 0 || name < task) return undefined;
  const taskCgroup = record.slice(task + marks.task.length, name);
  const pid = Number(end[1]);
  const limit = once(record, marks.limit);
  const global = once(record, marks.global.slice(0, -1));
  if (limit >= 0 && global < 0 && limit < task) {
    return { pid, limitCgroup: record.slice(limit + marks.limit.length, task), taskCgroup };
  }
  if (global >= 0 && limit < 0 && global < task) return { pid, limitCgroup: undefined, taskCgroup };
  return undefined;
}

/** "Tasks in PATH are going to be killed due to memory.oom.group set" */
export function parseGroupKill(line: string): string | undefined {
  const match = /^Tasks in (\/.*) are going to be killed due to memory\.oom\.group set$/.exec(text(line));
  return match?.[1];
}
