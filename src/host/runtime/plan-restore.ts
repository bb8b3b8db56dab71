import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { CreateSpec } from "../../task/ports.js";
import { type Bundle, rootDirectory } from "../bundle.js";
import type { Place, Placement } from "../cgroup/placement.js";
import type { Birth, Restore } from "../core/birth.js";
import { cgroupKill, encodeOps, mkdir } from "../core/ops.js";
import { flag, list, maybe, object, refuse, text, uint32 } from "../oci/check.js";
import { criuLogs, forgetLog } from "./criu-failure.js";
import { externalMounts, mountPoints } from "./criu-mounts.js";
import { criuRequests, encodeCriuOptions } from "./criu-options.js";
import { refuseForCriu } from "./criu-refuse.js";
import { type ContainerPlan, type PlanSurroundings, planContainer } from "./plan.js";
import { criuLogLevel, criuTimeoutMs, descriptorsFile, optionsFile } from "./plan-checkpoint.js";

const checkKept = object({
  extUnixSk: maybe(flag),
  tcpEstablished: maybe(flag),
  shellJob: maybe(flag),
  fileLocks: maybe(flag),
  emptyNs: maybe(uint32),
});

/** One of runc's has no such file: then nothing has to be told. */
function readBeside<T>(images: string, name: string, check: (value: unknown, path: string) => T, otherwise: T): T {
  const path = join(images, name);
  const at = `checkpoint: ${path}:`;
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, "utf8"));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return otherwise;
    return refuse(`checkpoint: ${path}`, (thrown as Error).message);
  }
  return check(value, at);
}

/** The first stream of a name stands for all: the kernel's object was one. */
function inheritedNames(images: string): [string, string, string] {
  const names = readBeside(images, descriptorsFile, list(text), []);
  const own = [0, 1, 2].map((fd) => names[fd] ?? "");
  const [stdin = "", stdout = "", stderr = ""] = own.map((name, fd) =>
    /^(pipe|file)(:|\[)/.test(name) && own.indexOf(name) === fd ? name : "",
  );
  return [stdin, stdout, stderr];
}

/** As the rows of /proc/PID/cgroup name them; CRIU knows each controller of co-mounted ones by its own name. */
const controllersOf = ({ version, options }: Place): string[] => (version === 2 ? [""] : options.split(","));

const isFile = (path: string): boolean =>
  path !== "" && (statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? true) === false;

export interface RestorePlan extends Omit<ContainerPlan, "birth"> {
  readonly birth: Birth;
  readonly restore: Restore;
}

export const restoreWork = ({ checkpoint, options }: CreateSpec): string => options.criuWorkPath || checkpoint;

function planCriu(bundle: Bundle, request: CreateSpec, placement: Placement, root: string, program: string): Restore {
  const images = request.checkpoint;
  const external = externalMounts(bundle, placement);
  const kept = readBeside(images, optionsFile, checkKept, checkKept({}, ""));
  const options = encodeCriuOptions({
    ...Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined)),
    evasiveDevices: true,
    logLevel: criuLogLevel,
    logFile: criuLogs.restore,
    notifyScripts: true,
    root,
    manageCgroups: true,
    orphanPtsMaster: true,
    extMnt: external.map(({ target, source }) => [target, source] as const),
    cgRoot: placement.places.flatMap((place) =>
      controllersOf(place).map((controller) => [controller, placement.path] as const),
    ),
  });
  const work = restoreWork(request);
  return {
    criu: { program, request: criuRequests.restore, options, images, work, timeoutMs: criuTimeoutMs },
    root,
    inherited: inheritedNames(images),
    ...mountPoints(bundle, isFile, external),
    undo: encodeOps([cgroupKill(placement.places.map(({ directory }) => directory))]),
  };
}

/** A birth without a child of ours: cgroups, mounts and streams are made as for a new container, the rest is in the images. */
export function planRestore(
  bundle: Bundle,
  request: CreateSpec,
  surroundings: PlanSurroundings,
  program: string,
): RestorePlan {
  refuseForCriu(bundle.spec, "restore");
  if (!statSync(request.checkpoint, { throwIfNoEntry: false })?.isDirectory()) {
    refuse("checkpoint", `${JSON.stringify(request.checkpoint)} is not a directory`);
  }
  const plan = planContainer(bundle, request, surroundings);
  const root = rootDirectory(bundle, request.rootfs.length > 0);
  const work = restoreWork(request);
  const forCriu = [...(work === request.checkpoint ? [] : [mkdir(work, 0o700)]), forgetLog("restore", work)];
  const script = Buffer.concat([plan.birth.script, encodeOps(forCriu)]);
  return {
    ...plan,
    birth: {
      ...plan.birth,
      script,
      cloneFlags: 0n,
      joins: [],
      cgroup: { version: 0, directories: [] },
      ops: encodeOps([]),
    },
    restore: planCriu(bundle, request, plan.placement, root, program),
  };
}
