import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import {
  ConnectRequest,
  CreateTaskRequest,
  DeleteRequest,
  KillRequest,
  PidsRequest,
  StartRequest,
  StateRequest,
  WaitRequest,
} from "../gen/containerd/task/v3/shim.js";
import { Request } from "../gen/ttrpc/request.js";
import { Reader } from "../host/core/reader.js";
import { abiVersion, headerBytes } from "../host/core/records.js";
import { Writer } from "../host/core/writer.js";

/** Numbers of native/include/vigil.h. */
const records = { hello: 1, fact: 5, request: 6, synced: 7, result: 8, committed: 11 } as const;
const commands = { birth: 69, first: 69, last: 76, commit: 77 } as const;

function frame(type: number, payload: Writer): Buffer {
  const bytes = payload.finish();
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(bytes.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(abiVersion, 6);
  return Buffer.concat([header, bytes]);
}

/** A core that says yes to everything and carries nothing out. */
function yes(type: number, payload: Buffer): Buffer | undefined {
  const key = (): string => new Reader(payload).str();
  if (type === commands.commit) return frame(records.committed, new Writer().str(key()).u64(1n));
  if (type < commands.first || type > commands.last) return undefined;
  const data = new Writer();
  if (type === commands.birth) data.u32(1);
  return frame(records.result, new Writer().str(key()).i32(0).u32(0).str("").bytes(data.finish()));
}

function agreeingCore(): Duplex {
  let rest = Buffer.alloc(0);
  const core = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= headerBytes && rest.length >= headerBytes + rest.readUInt32LE(0)) {
        const end = headerBytes + rest.readUInt32LE(0);
        const answer = yes(rest.readUInt16LE(4), rest.subarray(headerBytes, end));
        if (answer) core.push(answer);
        rest = rest.subarray(end);
      }
      done();
    },
  });
  return core;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Runs a container's life against nothing: V8 keeps in the code cache (src/boot.cjs) only the functions that ran before it was
 * made. `start` is what a real daemon begins with.
 */
export async function warmUp(start: (socket: Duplex) => void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "vigil-warm-up-"));
  const config = {
    ociVersion: "1.1.0",
    process: { args: ["true"], cwd: "/", user: { uid: 0, gid: 0 }, env: ["PATH=/bin"] },
    root: { path: "rootfs" },
    linux: { namespaces: [{ type: "pid" }, { type: "mount" }], cgroupsPath: "/vigil/warm-up" },
  };
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  try {
    const core = agreeingCore();
    start(core);
    const hello = new Writer().u32(abiVersion).str("warm").u32(1).str("warm-up").str("warm-up");
    hello.str("").str("").str("").str(directory).str(directory).u64(1n).u32(0).u32(1).str("").u32(0).bool(false);
    core.push(frame(records.hello, hello));
    core.push(frame(records.synced, new Writer()));
    let stream = 1;
    const ask = async (method: string, payload: Uint8Array): Promise<void> => {
      const service = "containerd.task.v2.Task";
      const data = Request.encode({ service, method, payload, timeoutNano: 0n, metadata: [] }).finish();
      core.push(
        frame(records.request, new Writer().str(`t:warm:1:${stream}`).u64(1n).u64(0n).u32(1).bool(false).bytes(data)),
      );
      stream += 2;
      for (let turns = 0; turns < 10; turns += 1) await turn();
    };
    const fact = (seq: bigint, kind: number): Writer => new Writer().u64(seq).u8(kind).str("warm");
    const rootfs = [{ type: "overlay", source: "overlay", target: "", options: ["lowerdir=/a", "upperdir=/b"] }];
    const request = CreateTaskRequest.fromPartial({ id: "warm", bundle: directory, rootfs });
    await ask("Create", CreateTaskRequest.encode(request).finish());
    await ask("Connect", ConnectRequest.encode({ id: "warm" }).finish());
    await ask("Wait", WaitRequest.encode({ id: "warm", execId: "" }).finish());
    core.push(frame(records.fact, fact(1n, 2).str("").u32(1).u64(1n)));
    await ask("Start", StartRequest.encode({ id: "warm", execId: "" }).finish());
    await ask("State", StateRequest.encode({ id: "warm", execId: "" }).finish());
    await ask("Pids", PidsRequest.encode({ id: "warm" }).finish());
    await ask("Kill", KillRequest.encode({ id: "warm", execId: "", signal: 9, all: false }).finish());
    core.push(frame(records.fact, fact(2n, 4).str("").u32(1).u32(137).u32(9).u64(1n).u64(0n).bool(true)));
    await ask("Delete", DeleteRequest.encode({ id: "warm", execId: "" }).finish());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
