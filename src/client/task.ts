import type { MethodDefinition } from "@grpc/grpc-js";
import {
  type CloseIORequest,
  type ConnectRequest,
  type ConnectResponse,
  CreateTaskRequest,
  type CreateTaskResponse,
  type DeleteRequest,
  type DeleteResponse,
  type ExecProcessRequest,
  type KillRequest,
  type PauseRequest,
  type PidsRequest,
  type PidsResponse,
  type ResizePtyRequest,
  type ResumeRequest,
  type ShutdownRequest,
  type StartRequest,
  type StartResponse,
  type StateRequest,
  type StateResponse,
  type StatsRequest,
  type StatsResponse,
  TaskService,
  type UpdateTaskRequest,
  type WaitRequest,
  type WaitResponse,
} from "../gen/containerd/task/v3/shim.js";
import type { CallOptions, Connection } from "./connection.js";

type Call<Req, Res> = (request: Req, options?: CallOptions) => Promise<Res>;
type Change<Req> = (request: Req, options?: CallOptions) => Promise<void>;

/** containerd.task.v3.Task of one shim. What changes something may be repeated after a lost connection and still acts once. */
export interface Task {
  readonly create: Call<Partial<CreateTaskRequest>, CreateTaskResponse>;
  readonly start: Call<StartRequest, StartResponse>;
  readonly delete: Call<DeleteRequest, DeleteResponse>;
  readonly exec: Change<ExecProcessRequest>;
  readonly kill: Change<KillRequest>;
  readonly pause: Change<PauseRequest>;
  readonly resume: Change<ResumeRequest>;
  readonly resizePty: Change<ResizePtyRequest>;
  readonly closeIO: Change<CloseIORequest>;
  readonly update: Change<UpdateTaskRequest>;
  readonly shutdown: Change<ShutdownRequest>;
  readonly state: Call<StateRequest, StateResponse>;
  readonly pids: Call<PidsRequest, PidsResponse>;
  readonly stats: Call<StatsRequest, StatsResponse>;
  readonly connect: Call<ConnectRequest, ConnectResponse>;
  /** Has no time limit unless given one. */
  readonly wait: Call<WaitRequest, WaitResponse>;
}

export function taskOf(connection: Connection): Task {
  const reads =
    <Req, Res>(method: MethodDefinition<Req, Res>, defaults: CallOptions = {}): Call<Req, Res> =>
    (request, options) =>
      connection.unary(method, request, { ...defaults, ...options });
  const changes = <Req, Res>(method: MethodDefinition<Req, Res>): Call<Req, Res> => reads(method, { mutating: true });
  const acts = <Req, Res>(method: MethodDefinition<Req, Res>): Change<Req> => {
    const call = changes(method);
    return async (request, options) => void (await call(request, options));
  };
  const create = changes(TaskService.create);
  return {
    create: (request, options) => create(CreateTaskRequest.fromPartial(request), options),
    start: changes(TaskService.start),
    delete: changes(TaskService.delete),
    exec: acts(TaskService.exec),
    kill: acts(TaskService.kill),
    pause: acts(TaskService.pause),
    resume: acts(TaskService.resume),
    resizePty: acts(TaskService.resizePty),
    closeIO: acts(TaskService.closeIO),
    update: acts(TaskService.update),
    shutdown: acts(TaskService.shutdown),
    state: reads(TaskService.state),
    pids: reads(TaskService.pids),
    stats: reads(TaskService.stats),
    connect: reads(TaskService.connect),
    wait: reads(TaskService.wait, { timeoutMs: 0 }),
  };
}
