import { VigilError } from "../base/errors.js";

/** The life of a pod. It ends with its shim. */
export type SandboxStatus = "created" | "ready" | "stopping" | "stopped";
export type SandboxStep = "start" | "stop" | "stopped";

const transitions: Readonly<Record<SandboxStatus, Partial<Record<SandboxStep, SandboxStatus>>>> = {
  created: { start: "ready", stop: "stopping" },
  ready: { stop: "stopping" },
  stopping: { stopped: "stopped" },
  stopped: {},
};

export function nextSandboxStatus(status: SandboxStatus, step: SandboxStep): SandboxStatus | undefined {
  return transitions[status][step];
}

/** What a request may ask of a pod beside its end, which may always be asked for. */
export type SandboxAction = "start" | "container";

const refusals: Readonly<Record<SandboxAction, Readonly<Partial<Record<SandboxStatus, string>>>>> = {
  start: {
    ready: "cannot start a running sandbox",
    stopping: "cannot start a stopped sandbox",
    stopped: "cannot start a stopped sandbox",
  },
  container: {
    created: "cannot create a container in a sandbox that was not started",
    stopping: "cannot create a container in a stopped sandbox",
    stopped: "cannot create a container in a stopped sandbox",
  },
};

/** Throws the refusal of that action in that status, if there is one. */
export function permitInSandbox(action: SandboxAction, status: SandboxStatus): void {
  const words = refusals[action][status];
  if (words !== undefined) throw new VigilError("failed_precondition", words);
}
