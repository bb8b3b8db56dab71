import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Log } from "../base/log.js";
import { type OomReport, OomReport_Scope as Scope } from "../gen/vigil/v1/vigil.js";
import type { ExitedFact, OomFact } from "../task/facts.js";
import type { OomContext, OomReports } from "../task/ports.js";
import { attributeExit, buildReport } from "./report.js";
import { formatReport, parseReport } from "./report-json.js";

const keptReports = 1_000;
const keptBytes = 64 << 20;

interface Kept {
  readonly file: string;
  readonly size: number;
}

/**
 * The OOM reports of a shim, a JSON file each, oldest dropped first. Written within the call and before the fact is committed:
 * a report is there before its event leaves. A disk that refuses costs the report, never the event.
 */
export class OomHistory implements OomReports {
  readonly #directory: string;
  readonly #prefix: string;
  readonly #namespace: string;
  readonly #log: Log;
  /** In the order of their facts; undefined until first needed. */
  #kept: Kept[] | undefined;
  /** Reports of living containers that do not say who was killed, by container. */
  readonly #open = new Map<string, Set<string>>();

  constructor(options: { readonly stateDirectory: string; readonly namespace: string; readonly log: Log }) {
    this.#directory = join(options.stateDirectory, "reports");
    this.#prefix = basename(options.stateDirectory);
    this.#namespace = options.namespace;
    this.#log = options.log;
  }

  record(fact: OomFact, context: OomContext): void {
    this.#guarded("not written", fact.container, () => {
      const file = fileOf(fact.seq);
      // The same fact comes again after a crash of the daemon; what was known of it then is still true.
      const known = this.#files().some((kept) => kept.file === file);
      const about = { id: `${this.#prefix}-${fact.seq}`, namespace: this.#namespace };
      const report = known ? this.#read(file) : buildReport(fact, context, about);
      if (!known) this.#write(file, report);
      if (report.scope === Scope.SCOPE_UNKNOWN) this.#openOf(fact.container).add(file);
    });
  }

  attribute(fact: ExitedFact, asked: boolean): void {
    const open = this.#open.get(fact.container);
    for (const file of open ?? []) {
      this.#guarded("not completed", fact.container, () => {
        const report = attributeExit(this.#read(file), fact, asked);
        if (!report) return;
        this.#write(file, report);
        open?.delete(file);
      });
    }
    if (fact.exec === "") this.#open.delete(fact.container);
  }

  /** The event that announces a report's fact has got its number. */
  numbered(fact: bigint, sequence: bigint): void {
    const file = fileOf(fact);
    if (!this.#files().some((kept) => kept.file === file)) return;
    this.#guarded("not numbered", file, () => {
      const report = this.#read(file);
      if (report.sequence !== sequence) this.#write(file, { ...report, sequence });
    });
  }

  /** Oldest first; of all containers when the id is empty. */
  list(containerId: string): OomReport[] {
    const reports: OomReport[] = [];
    for (const { file } of this.#files()) {
      this.#guarded("not readable", file, () => {
        const report = this.#read(file);
        if (containerId === "" || report.containerId === containerId) reports.push(report);
      });
    }
    return reports;
  }

  #openOf(container: string): Set<string> {
    const open = this.#open.get(container) ?? new Set<string>();
    this.#open.set(container, open);
    return open;
  }

  #files(): Kept[] {
    if (this.#kept) return this.#kept;
    let names: string[] = [];
    try {
      names = readdirSync(this.#directory).filter((name) => /^\d+\.json$/.test(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT")
        this.#log.error("OOM reports are not readable", { error });
    }
    this.#kept = names.sort().map((file) => ({ file, size: statSync(join(this.#directory, file)).size }));
    return this.#kept;
  }

  #read(file: string): OomReport {
    return parseReport(readFileSync(join(this.#directory, file), "utf8"));
  }

  /** All or nothing: a reader never sees half a report. */
  #write(file: string, report: OomReport): void {
    const text = formatReport(report);
    const path = join(this.#directory, file);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
    const kept = this.#files();
    const at = kept.findIndex((one) => one.file === file);
    const entry = { file, size: Buffer.byteLength(text) };
    if (at >= 0) kept[at] = entry;
    else kept.push(entry);
    this.#prune(kept);
  }

  #prune(kept: Kept[]): void {
    let bytes = kept.reduce((sum, { size }) => sum + size, 0);
    while (kept.length > keptReports || (bytes > keptBytes && kept.length > 1)) {
      const oldest = kept.shift();
      if (!oldest) return;
      bytes -= oldest.size;
      rmSync(join(this.#directory, oldest.file), { force: true });
    }
  }

  #guarded(what: string, container: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#log.error(`an OOM report is ${what}`, { container, error });
    }
  }
}

/** Names sort as their facts do. */
function fileOf(fact: bigint): string {
  return `${fact.toString().padStart(20, "0")}.json`;
}
