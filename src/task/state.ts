import { type ErrorCode, VigilError } from "../base/errors.js";

/** The life of an init. An exec has the same without pause. */
export type Status = "created" | "running" | "pausing" | "paused" | "stopped" | "deleted";
export type Step = "start" | "pause" | "paused" | "unpaused" | "resume" | "exit" | "delete";

/** libcontainer's state machine; a step that is not listed is refused. */
const transitions: Readonly<Record<Status, Partial<Record<Step, Status>>>> = {
  created: { start: "running", exit: "stopped", delete: "deleted" },
  running: { pause: "pausing", exit: "stopped" },
  pausing: { paused: "paused", unpaused: "running", exit: "stopped" },
  paused: { resume: "running", exit: "stopped" },
  stopped: { delete: "deleted" },
  deleted: {},
};

export function next(status: Status, step: Step): Status | undefined {
  return transitions[status][step];
}

/** What a request may ask of a process: the steps above and what leaves the status as it is. */
export type Action = "start" | "pause" | "resume" | "delete" | "exec" | "update" | "checkpoint" | "resize";

type Refusals = Readonly<Partial<Record<Status, string>>>;

// Words and codes of containerd's runc shim, which its clients compare (pkg/process/init_state.go, exec_state.go).
const initRefusals: Readonly<Record<Action, Refusals>> = {
  start: {
    running: "cannot start a running process",
    pausing: "cannot start a running process",
    paused: "cannot start a paused process",
    stopped: "cannot start a stopped process",
    deleted: "cannot start a deleted process",
  },
  pause: {
    created: "cannot pause task in created state",
    pausing: "cannot pause a container that is being paused",
    paused: "cannot pause a paused container",
    stopped: "cannot pause a stopped container",
    deleted: "cannot pause a deleted process",
  },
  resume: {
    created: "cannot resume task in created state",
    running: "cannot resume a running process",
    pausing: "cannot resume a container that is being paused",
    stopped: "cannot resume a stopped container",
    deleted: "cannot resume a deleted process",
  },
  delete: {
    running: "cannot delete a running process",
    pausing: "cannot delete a running process",
    paused: "cannot delete a paused process",
    deleted: "cannot delete a deleted process",
  },
  exec: {
    pausing: "cannot exec in a paused state",
    paused: "cannot exec in a paused state",
    stopped: "cannot exec in a stopped state",
    deleted: "cannot exec in a deleted state",
  },
  update: { stopped: "cannot update a stopped container", deleted: "cannot update a deleted process" },
  checkpoint: {
    created: "cannot checkpoint a task in created state",
    stopped: "cannot checkpoint a stopped container",
    deleted: "cannot checkpoint a deleted process",
  },
  resize: {},
};

const execRefusals: Readonly<Partial<Record<Action, Refusals>>> = {
  start: {
    running: "cannot start a running process",
    stopped: "cannot start a stopped process",
    deleted: "cannot start a deleted process",
  },
  delete: { running: "cannot delete a running process", deleted: "cannot delete a deleted process" },
  resize: { stopped: "cannot resize a stopped container", deleted: "cannot resize a deleted process" },
};

/** Throws the refusal of that action in that status, if there is one. */
export function permit(action: Action, status: Status, of: "init" | "exec" = "init"): void {
  const words = (of === "init" ? initRefusals : execRefusals)[action]?.[status];
  if (words === undefined) return;
  const code: ErrorCode = action === "delete" && status === "deleted" ? "not_found" : "unknown";
  throw new VigilError(code, words);
}
