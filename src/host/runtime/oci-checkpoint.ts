import type { CheckpointSpec, CreateSpec } from "../../task/ports.js";

/** Checkpoints and restores of another OCI runtime, by the options that runc and crun have in common. */

const flag = (name: string, wanted: boolean): string[] => (wanted ? [`--${name}`] : []);

export function checkpointWords(id: string, spec: CheckpointSpec, workDirectory: string): string[] {
  return [
    ...["checkpoint", "--image-path", spec.imageDirectory, "--work-path", workDirectory],
    ...flag("leave-running", !spec.exit),
    ...flag("tcp-established", spec.openTcp),
    ...flag("ext-unix-sk", spec.externalUnixSockets),
    ...flag("shell-job", spec.terminal),
    ...flag("file-locks", spec.fileLocks),
    ...spec.emptyNamespaces.flatMap((kind) => ["--empty-ns", kind]),
    ...(spec.cgroupsMode === "" ? [] : ["--manage-cgroups-mode", spec.cgroupsMode]),
    id,
  ];
}

export function restoreWords({ checkpoint, bundle }: CreateSpec, workDirectory: string): string[] {
  return ["restore", "--detach", "--image-path", checkpoint, "--work-path", workDirectory, "--bundle", bundle];
}
