import { VigilError } from "../base/errors.js";
import { ProcessDetails } from "../gen/containerd/runc/v1/oci.js";
import { type StateResponse, TaskDefinition } from "../gen/containerd/task/v3/shim.js";
import { checkpoint, closeStdin, kill, pause, resize, resume, update } from "../task/control.js";
import type { Exit } from "../task/exit-waiters.js";
import { addExec, type Deleted, deleteExec, startExec, startInit } from "../task/life.js";
import type { Registry } from "../task/registry.js";
import { checkId, toCreateSpec, toJsonText, toRuntimeOptions, toTimestamp, toWireStatus, typeName } from "./convert.js";
import { toCheckpointSpec } from "./convert-checkpoint.js";
import { answering, change, type Method, question, wait } from "./method.js";

export interface TaskServiceOptions {
  readonly registry: Registry;
  readonly corePid: number;
  /** Shutdown was asked for, no container is left, and the answer was given: the core then waits for the outbox. */
  end(): void;
}

const resourcesType = "LinuxResources";

const exitFields = (exit: Exit | undefined): { exitStatus: number; exitedAt: ReturnType<typeof toTimestamp> } => ({
  exitStatus: exit?.status ?? 0,
  exitedAt: toTimestamp(exit?.at ?? 0n),
});

const deleted = ({ pid, exit }: Deleted) => ({ pid, ...exitFields(exit) });
const empty = () => ({});
const onlyPid = (pid: number) => ({ pid });

/** containerd.task.v2.Task and v3.Task, which are the same but for the package. */
export function taskService({ registry, corePid, end }: TaskServiceOptions): ReadonlyMap<string, Method> {
  const { methods } = TaskDefinition;
  const { world } = registry;
  return new Map([
    change(methods.create, (request, call) => {
      checkId("id", request.id);
      const read = async () => toCreateSpec(request, await toRuntimeOptions(request.options));
      return registry.create(request.id, read, answering(call, onlyPid));
    }),
    change(methods.start, (request, call) => {
      const container = registry.get(request.id);
      const answered = answering(call, onlyPid);
      return request.execId === ""
        ? startInit(world, container, answered)
        : startExec(world, container, request.execId, answered);
    }),
    change(methods.delete, ({ id, execId }, call) => {
      const container = registry.get(id);
      const answered = answering(call, deleted);
      return execId === "" ? registry.delete(container, answered) : deleteExec(world, container, execId, answered);
    }),
    change(methods.exec, (request, call) => {
      const container = registry.get(request.id);
      const { stdin, stdout, stderr, terminal } = request;
      const spec = {
        execId: checkId("exec id", request.execId),
        stdio: { stdin, stdout, stderr, terminal },
        process: toJsonText("spec", request.spec),
      };
      return addExec(world, container, spec, answering(call, empty));
    }),
    change(methods.pause, ({ id }, call) => pause(world, registry.get(id), answering(call, empty))),
    change(methods.resume, ({ id }, call) => resume(world, registry.get(id), answering(call, empty))),
    change(methods.kill, ({ id, execId, signal, all }, call) =>
      kill(world, registry.get(id), { execId, signal, all }, answering(call, empty)),
    ),
    change(methods.resizePty, ({ id, execId, width, height }, call) =>
      resize(world, registry.get(id), { execId, columns: width, rows: height }, answering(call, empty)),
    ),
    change(methods.closeIO, ({ id, execId }, call) =>
      closeStdin(world, registry.get(id), execId, answering(call, empty)),
    ),
    change(methods.update, ({ id, resources }, call) => {
      const container = registry.get(id);
      const text = toJsonText("resources", resources);
      const type = typeName(resources?.typeUrl ?? "");
      if (type !== resourcesType) {
        throw new VigilError("invalid_argument", `resources of unknown type ${JSON.stringify(resources?.typeUrl)}`);
      }
      return update(world, container, text, answering(call, empty));
    }),
    change(methods.checkpoint, (request, call) =>
      checkpoint(world, registry.get(request.id), toCheckpointSpec(request), answering(call, empty)),
    ),
    question(methods.state, ({ id, execId }): StateResponse => {
      const container = registry.get(id);
      const process = container.process(execId);
      return {
        id: execId === "" ? id : execId,
        bundle: container.bundle,
        pid: process.pid,
        status: toWireStatus(container.statusOf(process)),
        ...process.stdio,
        ...exitFields(process.exit),
        execId: "",
      };
    }),
    question(methods.pids, async ({ id }) => {
      const container = registry.get(id);
      const execs = new Map<number, string>();
      for (const exec of container.execs.values()) if (exec.status === "running") execs.set(exec.pid, exec.execId);
      const pids = await world.runtime.pids(container.ref);
      return { processes: pids.map((pid) => ({ pid, info: processDetails(execs.get(pid)) })) };
    }),
    question(methods.stats, async ({ id }) => {
      const { typeUrl, value } = await world.runtime.stats(registry.get(id).ref);
      return { stats: { typeUrl, value } };
    }),
    question(methods.connect, ({ id }) => ({
      shimPid: corePid,
      taskPid: registry.find(id)?.init.pid ?? 0,
      version: "",
    })),
    question(
      methods.shutdown,
      () => ({}),
      () => {
        if (registry.empty) end();
      },
    ),
    wait(methods.wait, ({ id, execId }, answer, refuse) =>
      registry
        .get(id)
        .process(execId)
        .wait({ exited: (exit) => answer(exitFields(exit)), gone: refuse }),
    ),
  ]);
}

function processDetails(execId: string | undefined) {
  if (execId === undefined) return undefined;
  return { typeUrl: ProcessDetails.$type, value: ProcessDetails.encode({ execId }).finish() };
}
