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
  TaskDefinition,
  type UpdateTaskRequest,
  type WaitRequest,
  type WaitResponse,
} from "../gen/containerd/task/v3/shim.js";
import type { CallOptions, Connection, Rpc } from "./connection.js";

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
  const { fullName, methods } = TaskDefinition;
  const reads =
    <Req, Res>(rpc: Rpc<Req, Res>, defaults: CallOptions = {}): Call<Req, Res> =>
    (request, options) =>
      connection.unary(fullName, rpc, request, { ...defaults, ...options });
  const changes = <Req, Res>(rpc: Rpc<Req, Res>): Call<Req, Res> => reads(rpc, { mutating: true });
  const acts = <Req, Res>(rpc: Rpc<Req, Res>): Change<Req> => {
    const call = changes(rpc);
    return async (request, options) => void (await call(request, options));
  };
  const create = changes(methods.create);
  return {
    create: (request, options) => create(CreateTaskRequest.fromPartial(request), options),
    start: changes(methods.start),
    delete: changes(methods.delete),
    exec: acts(methods.exec),
    kill: acts(methods.kill),
    pause: acts(methods.pause),
    resume: acts(methods.resume),
    resizePty: acts(methods.resizePty),
    closeIO: acts(methods.closeIO),
    update: acts(methods.update),
    shutdown: acts(methods.shutdown),
    state: reads(methods.state),
    pids: reads(methods.pids),
    stats: reads(methods.stats),
    connect: reads(methods.connect),
    wait: reads(methods.wait, { timeoutMs: 0 }),
  };
}
