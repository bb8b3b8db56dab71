import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../../src/base/clock.js";
import { VigilError } from "../../../src/base/errors.js";
import { silentLog } from "../../../src/base/log.js";
import { compileFilters } from "../../../src/events/filter.js";
import { EventHistory } from "../../../src/events/history.js";
import { decodeEntry, encodeEntry } from "../../../src/events/topics.js";
import { EventsDefinition } from "../../../src/gen/containerd/services/events/v1/events.js";
import * as shim from "../../../src/gen/containerd/task/v3/shim.js";
import { HealthCheckRequest, HealthCheckResponse } from "../../../src/gen/grpc/health/v1/health.js";
import { ServerReflectionRequest, ServerReflectionResponse } from "../../../src/gen/grpc/reflection/v1/reflection.js";
import { eventsService } from "../../../src/rpc/events-service.js";
import { createGrpcServer, type GrpcServer } from "../../../src/rpc/grpc.js";
import { GrpcChanges } from "../../../src/rpc/grpc-changes.js";
import { healthService } from "../../../src/rpc/health-service.js";
import { change, type Method, question, type Services, wait } from "../../../src/rpc/method.js";
import { reflectionNames, reflectionService } from "../../../src/rpc/reflection-service.js";
import { encodeAnswer } from "../../../src/rpc/status.js";
import { gate } from "../../support/gate.js";

let directory: string;
let listener: Server;
let server: GrpcServer;
let client: grpc.Client;
let changes: GrpcChanges;
let history: EventHistory;
const core = { held: [] as string[], committed: [] as string[] };
/** What Create does; how Wait ends. */
let work: () => Promise<number>;
let exits: ((status: number) => void)[];
let waitsEnded: number;

const { methods } = shim.TaskDefinition;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "vigil-grpc-"));
  core.held = [];
  core.committed = [];
  exits = [];
  waitsEnded = 0;
  work = async () => 7;
  changes = new GrpcChanges();
  history = new EventHistory({ capacity: 5 });
  const tasks = new Map<string, Method>([
    change(methods.create, async (request, call) => {
      if (request.id === "") throw new VigilError("invalid_argument", "id must not be empty");
      call.begin();
      const pid = await work();
      return call.answer({ pid });
    }),
    question(methods.pids, () => {
      throw new VigilError("not_found", "container not created");
    }),
    wait(methods.wait, (_, answer) => {
      exits.push((exitStatus) => answer({ exitStatus, exitedAt: undefined }));
      return () => {
        waitsEnded += 1;
      };
    }),
  ]);
  const names = (): Iterable<string> => services.keys();
  const services: Services = new Map([
    ["containerd.task.v3.Task", tasks],
    ["containerd.services.events.v1.Events", eventsService({ history, filter: compileFilters })],
    ["grpc.health.v1.Health", healthService(names)],
    ...reflectionNames.map((name) => [name, reflectionService(names)] as const),
  ]);
  server = await createGrpcServer({
    services,
    changes,
    core: {
      hold: (key) => void core.held.push(key),
      commitReply: async (key) => void core.committed.push(key),
    },
    clock: systemClock,
    log: silentLog,
  });
  // As the core does: connections are accepted elsewhere and handed in.
  listener = createServer((socket) => server.serve(socket));
  await new Promise<void>((resolve) => listener.listen(join(directory, "s"), resolve));
  client = new grpc.Client(`unix://${join(directory, "s")}`, grpc.credentials.createInsecure());
});

afterEach(async () => {
  client.close();
  await server.close();
  listener.close();
  rmSync(directory, { recursive: true });
});

const buffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

function call(path: string, payload: Uint8Array, id?: string, options: grpc.CallOptions = {}): Promise<Uint8Array> {
  const metadata = new grpc.Metadata();
  if (id !== undefined) metadata.set("vigil-request-id", id);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      buffer,
      (bytes: Buffer) => bytes,
      payload,
      metadata,
      options,
      (error, value) => (error ? reject(error) : resolve(value ?? Buffer.alloc(0))),
    );
  });
}

const task = "/containerd.task.v3.Task/";
const createRequest = (id = "c1") => shim.CreateTaskRequest.encode(shim.CreateTaskRequest.fromPartial({ id })).finish();
const create = async (requestId?: string, options?: grpc.CallOptions) =>
  shim.CreateTaskResponse.decode(await call(`${task}Create`, createRequest(), requestId, options)).pid;

describe("the gRPC server", () => {
  test("answers and refuses as the methods do", async () => {
    expect(await create()).toBe(7);
    await expect(call(`${task}Create`, createRequest(""))).rejects.toMatchObject({
      code: 3,
      details: "id must not be empty: invalid argument",
    });
    await expect(call(`${task}Pids`, new Uint8Array(0))).rejects.toMatchObject({
      code: 5,
      details: "container not created: not found",
    });
    await expect(call(`${task}Pids`, Buffer.from([0xff]))).rejects.toMatchObject({ code: 3 });
    await expect(call(`${task}Fly`, new Uint8Array(0))).rejects.toMatchObject({ code: 12 });
  });

  test("a change is held by the core before it begins, and a failure behind that is committed", async () => {
    work = () => Promise.reject(new VigilError("aborted", "no"));
    await expect(create("a")).rejects.toMatchObject({ code: 10, details: "no" });
    expect(core).toEqual({ held: ["g:Create:a"], committed: ["g:Create:a"] });
  });

  test("a retry with the same id acts once: while it runs, and afterwards", async () => {
    let worked = 0;
    const { opened, open } = gate();
    work = async () => {
      worked += 1;
      await opened;
      return 9;
    };
    const both = [create("same"), create("same")];
    while (worked === 0) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
    open();
    expect(await Promise.all(both)).toEqual([9, 9]);
    expect(await create("same")).toBe(9);
    expect(worked).toBe(1);
    work = async () => 10;
    expect([await create("other"), await create(), await create()]).toEqual([10, 10, 10]);
    expect(new Set(core.held).size).toBe(4);
  });

  test("a retry after a restart of the daemon gets the kept answer, or waits for the replay", async () => {
    const pid = shim.CreateTaskResponse.encode({ pid: 5 }).finish();
    changes.restore("g:Create:kept", encodeAnswer(pid));
    expect(await create("kept")).toBe(5);
    const { opened: replayed, open: settle } = gate();
    void changes.attach(
      "g:Create:replayed",
      replayed.then(() => ({ reply: encodeAnswer(pid), committed: true })),
    );
    const waiting = create("replayed");
    settle();
    expect(await waiting).toBe(5);
    expect(core.held).toEqual([]);
  });

  test.each(["", "a/b", "x".repeat(101), "a b"])("the id %j is refused", async (id) => {
    await expect(create(id)).rejects.toMatchObject({ code: 3 });
  });

  test("an expired change is not begun", async () => {
    await expect(create("late", { deadline: Date.now() - 1000 })).rejects.toMatchObject({ code: 4 });
    expect(core.held).toEqual([]);
  });

  test("Wait ends with the exit, or with its client", async () => {
    const waiting = call(`${task}Wait`, new Uint8Array(0));
    while (exits.length === 0) await new Promise((resolve) => setImmediate(resolve));
    exits[0]?.(3);
    expect(shim.WaitResponse.decode(await waiting)).toMatchObject({ exitStatus: 3 });
    await expect(
      call(`${task}Wait`, new Uint8Array(0), undefined, { deadline: Date.now() + 50 }),
    ).rejects.toMatchObject({ code: 4 });
    while (waitsEnded === 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test("Subscribe gives the events from now on that a filter passes", async () => {
    const event = (sequence: bigint, topic: string) =>
      decodeEntry(
        sequence,
        0n,
        encodeEntry("n", { topic, containerId: "c", event: { kind: "oom" }, at: 1n, fact: 0n }),
      );
    history.push(event(1n, "/tasks/oom"));
    const { subscribe } = EventsDefinition.methods;
    const request = subscribe.requestType.encode({ filters: ["topic==/tasks/oom"] }).finish();
    const stream = client.makeServerStreamRequest(
      "/containerd.services.events.v1.Events/Subscribe",
      buffer,
      (bytes: Buffer) => subscribe.responseType.decode(bytes),
      request,
    );
    const topics: string[] = [];
    stream.on("data", ({ topic }: { topic: string }) => topics.push(topic));
    stream.on("error", () => undefined);
    // Nothing says that a subscription has begun; events come until one arrives.
    let sequence = 2n;
    while (topics.length < 2) {
      history.push(event(sequence, "/tasks/paused"));
      history.push(event(sequence + 1n, "/tasks/oom"));
      sequence += 2n;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(new Set(topics)).toEqual(new Set(["/tasks/oom"]));
    stream.cancel();
  });

  test("health", async () => {
    const check = async (service: string) =>
      HealthCheckResponse.decode(
        await call("/grpc.health.v1.Health/Check", HealthCheckRequest.encode({ service }).finish()),
      ).status;
    expect(await check("")).toBe(1);
    expect(await check("containerd.task.v3.Task")).toBe(1);
    await expect(check("x")).rejects.toMatchObject({ code: 5 });
  });

  test.each(reflectionNames)("reflection as %s", async (name) => {
    const stream = client.makeBidiStreamRequest(`/${name}/ServerReflectionInfo`, buffer, (bytes: Buffer) =>
      ServerReflectionResponse.decode(bytes),
    );
    stream.on("error", () => undefined);
    const ask = (
      messageRequest: ServerReflectionRequest["messageRequest"],
    ): Promise<ServerReflectionResponse["messageResponse"]> => {
      const answered = new Promise<ServerReflectionResponse>((resolve) => stream.once("data", resolve));
      stream.write(ServerReflectionRequest.encode({ host: "", messageRequest }).finish());
      return answered.then(({ messageResponse }) => messageResponse);
    };
    expect(await ask({ $case: "listServices", value: "" })).toMatchObject({
      value: { service: expect.arrayContaining([{ name: "containerd.task.v3.Task" }]) },
    });
    const symbol = await ask({ $case: "fileContainingSymbol", value: "containerd.task.v3.Task" });
    // The file and the five that it imports.
    expect(symbol?.$case === "fileDescriptorResponse" && symbol.value.fileDescriptorProto.length).toBe(6);
    expect(await ask({ $case: "fileContainingSymbol", value: "no.Such" })).toMatchObject({
      $case: "errorResponse",
      value: { errorCode: 5 },
    });
    stream.end();
  });
});
