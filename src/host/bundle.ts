import { lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { VigilError } from "../base/errors.js";
import { refuse } from "./oci/check.js";
import { parseJson } from "./oci/json.js";
import { checkProcess, type ProcessSpec } from "./oci/process.js";
import { checkResources, type Resources } from "./oci/resources.js";
import { checkSpec, type Spec } from "./oci/spec.js";

export interface Bundle {
  /** Absolute, without symbolic links. */
  readonly path: string;
  readonly spec: Spec;
}

const fileName = "config.json";

function parse(json: string, name: string): unknown {
  try {
    return parseJson(json);
  } catch (cause) {
    throw new VigilError("invalid_argument", `${name}: not JSON: ${VigilError.from(cause).message}`, { cause });
  }
}

function readConfig(path: string): string {
  try {
    return readFileSync(join(path, fileName), "utf8");
  } catch (cause) {
    throw new VigilError("invalid_argument", `bundle: ${VigilError.from(cause).message}`, { cause });
  }
}

/** Opens and checks a bundle. Nothing in it is trusted to be what the specification says. */
export function openBundle(path: string): Bundle {
  if (!isAbsolute(path) || /[\n\0]/.test(path)) refuse("bundle", `${JSON.stringify(path)} is not an absolute path`);
  const json = readConfig(path);
  return { path: realpathSync(path), spec: checkSpec(parse(json, fileName), `${fileName}:`) };
}

export function parseProcess(json: string): ProcessSpec {
  return checkProcess(parse(json, "process"), "process");
}

export function parseResources(json: string): Resources {
  return checkResources(parse(json, "resources"), "resources");
}

const rootPath = `${fileName}: root.path`;

/** BUNDLE/rootfs, where the Create request's mounts go: made by whoever mounts, so a link there leads nowhere good. */
export function mountPoint(bundle: Pick<Bundle, "path">): string {
  const directory = join(bundle.path, "rootfs");
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found && !found.isDirectory()) refuse("rootfs", `${directory} is not a directory`);
  return directory;
}

/**
 * The root file system's absolute path. A relative one must stay in the bundle, also through links. With `mounted` it is
 * BUNDLE/rootfs that the request's mounts will fill, and there is nothing to look at yet.
 */
export function rootDirectory(bundle: Bundle, mounted: boolean): string {
  const { path } = bundle.spec.root;
  if (path === "") refuse(rootPath, "must not be empty");
  const directory = resolve(bundle.path, path);
  if (mounted && directory === mountPoint(bundle)) return directory;
  const real = existingDirectory(directory);
  if (isAbsolute(path)) return real;
  if (!directory.startsWith(`${bundle.path}/`)) refuse(rootPath, `${JSON.stringify(path)} is not inside of the bundle`);
  if (real !== directory) refuse(rootPath, `${directory} is or passes through a symbolic link`);
  return directory;
}

function existingDirectory(path: string): string {
  if (!statSync(path, { throwIfNoEntry: false })) refuse(rootPath, `${path} does not exist`);
  const real = realpathSync(path);
  if (!statSync(real).isDirectory()) refuse(rootPath, `${path} is not a directory`);
  return real;
}
