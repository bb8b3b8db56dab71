import { VigilError } from "../../base/errors.js";
import type { Spec } from "../oci/spec.js";

/** Hooks of a creation and a start, which a restored container does not go through. */
const firstHooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"] as const;

/** What a checkpoint cannot hold, and a restore cannot make. */
export function refuseForCriu({ linux, hooks }: Spec, step: "checkpoint" | "restore"): void {
  const refuse = (what: string): never => {
    throw new VigilError("unimplemented", `${step}: config.json: ${what}: not implemented`);
  };
  linux.namespaces.forEach(({ type, path }, index) => {
    const at = `linux.namespaces[${index}]`;
    if (path !== "") refuse(`${at}.path: a ${type} namespace that is joined`);
    if (type === "user" || type === "time") refuse(`${at}: a ${type} namespace`);
  });
  // A restored process has the number and the mounts that it had.
  for (const kind of ["pid", "mount"]) {
    if (!linux.namespaces.some(({ type }) => type === kind)) {
      refuse(`linux.namespaces: no ${kind} namespace of the container's own`);
    }
  }
  if (step === "checkpoint") return;
  for (const name of firstHooks) if (hooks?.[name].length) refuse(`hooks.${name}`);
}
