import { readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import type { CheckpointSpec } from "../../task/ports.js";
import { type Bundle, rootDirectory } from "../bundle.js";
import { freezerPlace } from "../cgroup/placement.js";
import { criu, file, mkdir, type Op } from "../core/ops.js";
import { refuse } from "../oci/check.js";
import { clearWork, criuLogs, forgetLog } from "./criu-failure.js";
import { externalMounts } from "./criu-mounts.js";
import { type CriuOptions, cgroupModes, criuRequests, encodeCriuOptions } from "./criu-options.js";
import { refuseForCriu } from "./criu-refuse.js";
import type { NativeHandle } from "./handle.js";
import { namespaceFlags } from "./namespaces.js";

/** Memory goes to disk meanwhile. */
export const criuTimeoutMs = 600_000;
/** As runc's: CRIU tells what it does, not only what fails. */
export const criuLogLevel = 4;

/** Beside the images, as with runc: what descriptors 0, 1 and 2 of the init were. */
export const descriptorsFile = "descriptors.json";
/** What a restore has to be told as the checkpoint was. */
export const optionsFile = "vigil.json";
export type KeptOptions = Pick<CriuOptions, "extUnixSk" | "tcpEstablished" | "shellJob" | "fileLocks" | "emptyNs">;

const directoryMode = 0o700;
const fileMode = 0o600;

interface Descriptor {
  /** As CRIU calls it in the images: "pipe:[NUMBER]". */
  readonly name: string;
  /** Of a mount that the container does not have: /dev/null of the host, which an absent stream is. */
  readonly external: boolean;
}

const nothing: Descriptor = { name: "", external: false };

function describe(pid: number, fd: number, mounts: ReadonlySet<string>): Descriptor {
  const path = `/proc/${pid}/fd/${fd}`;
  try {
    const name = readlinkSync(path);
    const mount = /^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "utf8"))?.[1] ?? "";
    if (/^\w+:\[/.test(name) || mounts.has(mount)) return { name, external: false };
    return { name: `file[${Number(mount).toString(16)}:${statSync(path).ino.toString(16)}]`, external: true };
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return nothing; // it has closed it
    throw thrown;
  }
}

function describeStreams(pid: number): Descriptor[] {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, "utf8").split("\n");
  const mounts = new Set(lines.map((line) => line.slice(0, line.indexOf(" "))));
  return [0, 1, 2].map((fd) => describe(pid, fd, mounts));
}

function keptOptions(spec: CheckpointSpec): KeptOptions {
  const foreign = spec.emptyNamespaces.find((kind) => kind !== "network");
  if (foreign !== undefined) refuse("empty_namespaces", `${JSON.stringify(foreign)}: only network can be left out`);
  return {
    extUnixSk: spec.externalUnixSockets,
    tcpEstablished: spec.openTcp,
    shellJob: spec.terminal,
    fileLocks: spec.fileLocks,
    ...(spec.emptyNamespaces.length > 0 ? { emptyNs: Number(namespaceFlags.network) } : {}),
  };
}

export interface CheckpointPlan {
  readonly ops: readonly Op[];
  readonly work: string;
  /** The work directory is none that somebody asked for. */
  readonly ownWork: boolean;
}

/** Looks at the container's init, changes nothing. */
export function planCheckpoint(
  { pid, placement, mountPoint }: NativeHandle,
  bundle: Bundle,
  spec: CheckpointSpec,
  program: string,
): CheckpointPlan {
  refuseForCriu(bundle.spec, "checkpoint");
  const mode = spec.cgroupsMode === "" ? undefined : cgroupModes.get(spec.cgroupsMode);
  if (spec.cgroupsMode !== "" && mode === undefined)
    refuse("cgroups_mode", `${JSON.stringify(spec.cgroupsMode)} is not known`);
  const kept = keptOptions(spec);
  const descriptors = describeStreams(pid);
  const freezer = freezerPlace(placement);
  const options = encodeCriuOptions({
    ...kept,
    pid,
    leaveRunning: !spec.exit,
    logLevel: criuLogLevel,
    logFile: criuLogs.checkpoint,
    root: rootDirectory(bundle, mountPoint !== ""),
    manageCgroups: true,
    orphanPtsMaster: true,
    ...(mode === undefined ? {} : { manageCgroupsMode: mode }),
    ...(freezer ? { freezeCgroup: freezer.directory } : {}),
    external: [...new Set(descriptors.filter(({ external }) => external).map(({ name }) => name))],
    extMnt: externalMounts(bundle, placement).map(({ target }) => [target, target] as const),
  });
  const images = spec.imageDirectory;
  const ownWork = spec.workDirectory === "";
  const work = spec.workDirectory || images;
  const text = (value: unknown): string => `${JSON.stringify(value)}\n`;
  return {
    ops: [
      mkdir(images, directoryMode),
      ...(ownWork ? [] : [mkdir(work, directoryMode)]),
      forgetLog("checkpoint", work),
      criu({ program, request: criuRequests.dump, options, images, work, timeoutMs: criuTimeoutMs }),
      file(join(images, descriptorsFile), fileMode, text(descriptors.map(({ name }) => name))),
      file(join(images, optionsFile), fileMode, text(kept)),
      ...(ownWork ? clearWork("checkpoint", work) : []),
    ],
    work,
    ownWork,
  };
}
