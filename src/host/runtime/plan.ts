import type { CreateSpec } from "../../task/ports.js";
import { type Bundle, mountPoint, rootDirectory } from "../bundle.js";
import type { Caller } from "../caller.js";
import { type CgroupBirth, planCgroupBirth } from "../cgroup/birth.js";
import type { CgroupHost } from "../cgroup/detect.js";
import { cgroupPath } from "../cgroup/path.js";
import { besideOwn, permittedPlaces, withOwnPlaces } from "../cgroup/permitted.js";
import { type Placement, placementOf } from "../cgroup/placement.js";
import type { Birth } from "../core/birth.js";
import {
  bringUpLoopback,
  chroot,
  consoleTerminal,
  cwd,
  domainname,
  encodeOps,
  hostname,
  mask,
  type Op,
  optional,
  pivot,
  readonlyPath,
  readonlyRoot,
  root,
  rootfs,
  rootPropagation,
  unshareCgroup,
} from "../core/ops.js";
import { planStreams } from "../io/streams.js";
import { refuse } from "../oci/check.js";
import type { LaterHooks } from "../oci/hooks.js";
import { checkResources } from "../oci/resources.js";
import type { Spec } from "../oci/spec.js";
import { birthHooks, laterHooks, poststopOps } from "./hooks.js";
import { checkMountLabel, type SecurityModules } from "./labels.js";
import { MS, propagations } from "./mount-options.js";
import { planDevices } from "./plan-devices.js";
import { planMounts } from "./plan-mounts.js";
import { type NamespacePlan, planNamespaces } from "./plan-namespaces.js";
import { planOwnOomScore, planProcess } from "./plan-process.js";
import { planRootfs } from "./plan-rootfs.js";
import { planSharedRoot } from "./plan-shared-root.js";
import { planSysctls } from "./plan-sysctls.js";
import { planTimeNamespace } from "./plan-time-namespace.js";
import { checkUser, planUserNamespace } from "./plan-user-namespace.js";
import type { SeccompFilter } from "./seccomp.js";
import { teardownRecord } from "./teardown.js";
import { refuseUnsupported, refuseUnsupportedOptions } from "./unsupported.js";

export const openTimeoutMs = 30_000;

export interface PlanSurroundings {
  readonly namespace: string;
  readonly cgroups: CgroupHost;
  readonly seccomp: SeccompFilter | undefined;
  readonly lastCapability: number;
  readonly modules: SecurityModules;
  readonly caller: Caller;
  readonly warn: (message: string) => void;
}

/** A container's birth, and what is to be remembered of it. */
export interface ContainerPlan {
  readonly birth: Birth;
  /** Of the birth, host ops first: an index in an answer of the core counts these. */
  readonly ops: readonly Op[];
  readonly namespaces: NamespacePlan;
  readonly placement: Placement;
  /** Empty: the request brought no root file system. */
  readonly mountPoint: string;
  /** Where its root is bound onto itself in the caller's mount namespace; empty: it has a mount namespace of its own. */
  readonly boundRoot: string;
  readonly keyring: string;
  readonly later: LaterHooks | undefined;
}

const processPath = "config.json: process";
const noResources = checkResources({}, "");

function checkTerminal(spec: Spec, request: CreateSpec): void {
  const { terminal } = spec.process;
  if (terminal !== request.stdio.terminal) {
    refuse(`${processPath}.terminal`, `${terminal} does not agree with the request, which says ${!terminal}`);
  }
}

function absolutePaths(paths: readonly string[], name: string): readonly string[] {
  paths.forEach((path, index) => {
    if (!path.startsWith("/"))
      refuse(`config.json: linux.${name}[${index}]`, `${JSON.stringify(path)} is not absolute`);
  });
  return paths;
}

function names(spec: Spec, namespaces: NamespacePlan): Op[] {
  for (const key of ["hostname", "domainname"] as const) {
    if (spec[key] !== "" && !namespaces.has("uts")) {
      refuse(`config.json: ${key}`, "cannot be set without a UTS namespace of the container's own");
    }
  }
  return [
    ...(spec.hostname === "" ? [] : [hostname(spec.hostname)]),
    ...(spec.domainname === "" ? [] : [domainname(spec.domainname)]),
  ];
}

function propagationOf(word: string): bigint {
  if (word === "") return 0n;
  return (
    propagations.get(word) ?? refuse("config.json: linux.rootfsPropagation", `${JSON.stringify(word)} is not known`)
  );
}

/** Of the host's mounts, as the container's namespace begins with them: nothing mounted there may show on the host. */
function firstPropagation(wanted: bigint): bigint {
  // The host's later mounts may show, unless something else is wanted.
  if (wanted === 0n) return MS.SLAVE | MS.REC;
  // What is unbindable could not be bound: it is for the container's own root, at the end.
  return wanted & MS.UNBINDABLE ? MS.PRIVATE | MS.REC : wanted;
}

/** The terminal's op; without a size in the configuration it keeps the kernel's. */
export function terminalOps(terminal: boolean, size: { width: number; height: number } | undefined): Op[] {
  return terminal ? [consoleTerminal(size?.width ?? 0, size?.height ?? 0)] : [];
}

function childOps(
  bundle: Bundle,
  request: CreateSpec,
  namespaces: NamespacePlan,
  view: Placement,
  keyring: string,
  { seccomp, lastCapability, modules, caller, warn }: PlanSurroundings,
): Op[] {
  const { spec } = bundle;
  const { linux, process } = spec;
  const users = planUserNamespace(linux, namespaces, caller);
  checkUser(process, linux, caller, processPath);
  checkMountLabel(linux.mountLabel, modules);
  const mounts = planMounts(spec.mounts, {
    bundle: bundle.path,
    placement: view,
    userNamespace: namespaces.has("user"),
    linux,
    label: linux.mountLabel,
    warn,
  });
  const propagation = propagationOf(linux.rootfsPropagation);
  const directory = rootDirectory(bundle, request.rootfs.length > 0);
  const identity = { ...spec, id: request.id, bundle: request.bundle };
  const hooks = birthHooks(spec.hooks, identity, directory);
  return [
    ...users,
    ...planTimeNamespace(linux, namespaces),
    ...(namespaces.isNew("cgroup") ? [unshareCgroup()] : []),
    ...(namespaces.isNew("network") ? [bringUpLoopback()] : []),
    ...beginRoot(directory, namespaces, propagation),
    ...mounts.ops,
    ...(mounts.ownDev ? [] : planDevices(linux.devices)),
    ...terminalOps(process.terminal, process.consoleSize),
    ...mounts.late,
    ...hooks.beforePivot,
    namespaces.has("mount") ? pivot(request.options.noPivotRoot, 0n) : chroot(),
    ...names(spec, namespaces),
    ...planSysctls(linux.sysctl, namespaces),
    ...absolutePaths(linux.readonlyPaths, "readonlyPaths").map(readonlyPath),
    ...absolutePaths(linux.maskedPaths, "maskedPaths").map(mask),
    // Last, as some of the paths are bound onto themselves.
    ...(propagation === 0n ? [] : [rootPropagation(propagation)]),
    // A missing working directory is made while it still can be.
    ...(spec.root.readonly ? [optional(cwd(process.cwd)), readonlyRoot()] : []),
    ...planProcess(process, {
      path: processPath,
      keyring,
      linux,
      identity,
      init: undefined,
      modules,
      seccomp,
      lastCapability,
      caller,
      afterStart: hooks.beforeExec,
      warn,
    }),
  ];
}

/**
 * Without privileges and without a path in the configuration the container gets the cgroups that its caller may make, as with runc;
 * in the other hierarchies it stays where the caller is, and no limit of theirs can be had.
 */
function planCgroups({ linux }: Spec, id: string, { cgroups, namespace, caller, warn }: PlanSurroundings): CgroupBirth {
  const unprivileged = !caller.privileged;
  const resources = linux.resources ?? noResources;
  const context = { path: "config.json: linux.resources", warn, unprivileged };
  const free = unprivileged && linux.cgroupsPath === "";
  const beside = free && cgroups.mode === "v2" ? besideOwn(cgroups, `vigil-${id}`) : undefined;
  const wanted = placementOf(cgroups, beside ?? cgroupPath(linux.cgroupsPath, namespace, id));
  return planCgroupBirth(free ? permittedPlaces(wanted) : wanted, resources, context);
}

/** Where the container's mounts begin. Without a mount namespace that is a bind which the helper has made, see plan-shared-root.ts. */
function beginRoot(directory: string, namespaces: NamespacePlan, propagation: bigint): Op[] {
  if (!namespaces.has("mount")) return [root(directory)];
  return [rootPropagation(firstPropagation(propagation)), rootfs(directory)];
}

/** Compiles a checked configuration and a Create request into a birth. Looks at the host, changes nothing. */
export function planContainer(bundle: Bundle, request: CreateSpec, surroundings: PlanSurroundings): ContainerPlan {
  const { spec } = bundle;
  refuseUnsupported(spec);
  refuseUnsupportedOptions(request.options);
  checkTerminal(spec, request);
  const namespaces = planNamespaces(spec.linux.namespaces);
  const { cgroups, caller } = surroundings;
  const { script, placement, watch, cgroup } = planCgroups(spec, request.id, surroundings);
  const view = caller.privileged ? placement : withOwnPlaces(placement, cgroups);
  const target = request.rootfs.length > 0 ? mountPoint(bundle) : "";
  const keyring = request.options.noNewKeyring ? "" : `_ses.${request.id}`;
  const boundRoot = planSharedRoot(bundle, namespaces, request.rootfs.length > 0);
  const hostOps = [
    ...planRootfs(request.rootfs, target),
    ...boundRoot.ops,
    ...script,
    ...planOwnOomScore(spec.process, caller),
  ];
  const later = laterHooks(spec);
  const ops = childOps(bundle, request, namespaces, view, keyring, surroundings);
  return {
    birth: {
      container: request.id,
      exec: "",
      teardown: teardownRecord(placement, target || boundRoot.alone || undefined, {
        poststop: later ? poststopOps(later, request) : [],
      }),
      terminal: request.stdio.terminal,
      ioUid: request.options.ioUid,
      ioGid: request.options.ioGid,
      ioTimeoutMs: openTimeoutMs,
      ...planStreams(request.stdio, request.id, surroundings.namespace),
      script: encodeOps(hostOps),
      watch,
      cloneFlags: namespaces.cloneFlags,
      joins: namespaces.joins,
      initNamespaces: 0n,
      cgroup,
      ops: encodeOps(ops),
    },
    ops: [...hostOps, ...ops],
    namespaces,
    placement,
    mountPoint: target,
    boundRoot: boundRoot.path,
    keyring,
    later,
  };
}
