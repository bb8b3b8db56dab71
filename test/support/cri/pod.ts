// A pod as the kubelet makes one: cgroup parent of its own, on the machine's network unless a test wants another.
import { mkdirSync, writeFileSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { seconds, unifiedMemory } from "../bed.js";
import { cgroupsNaming, memoryFiles, memoryRoot } from "../cgroup-tree.js";
import { eventually } from "../command.js";
import type { Fields } from "./client.js";
import type { CriNode, Handler } from "./node.js";

export const namespaceMode = { pod: 0, container: 1, node: 2, target: 3 } as const;
export const containerState = { created: 0, running: 1, exited: 2 } as const;
export const sandboxState = { ready: 0, notReady: 1 } as const;

export interface ContainerStatus {
  readonly state: number;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
}

export interface PodOptions {
  readonly handler: Handler;
  /** One that is not the machine's, with nothing in it. */
  readonly ownNetwork?: boolean;
  readonly hostname?: string;
  /** Of all containers: one pid namespace, or one each. */
  readonly sharedPids?: boolean;
  /** Bytes for the whole pod. */
  readonly memoryLimit?: number;
}

export interface ContainerOptions {
  readonly memoryLimit?: number;
}

export class Pod {
  readonly id: string;
  readonly #node: CriNode;
  readonly #cgroup: string;
  readonly #config: Fields;
  readonly #namespaceOptions: Fields;

  static async run(node: CriNode, name: string, options: PodOptions): Promise<Pod> {
    const cgroup = `${node.cgroupParent}/${name}`;
    const network = options.ownNetwork ? namespaceMode.pod : namespaceMode.node;
    const pid = options.sharedPids ? namespaceMode.pod : namespaceMode.container;
    const namespaceOptions = { network, pid, ipc: namespaceMode.pod, targetId: "" };
    const config = {
      metadata: { name, uid: name, namespace: "default", attempt: 0 },
      hostname: options.hostname ?? "",
      logDirectory: join(node.containerd.base, "logs", name),
      linux: {
        cgroupParent: cgroup,
        securityContext: { namespaceOptions },
      },
    };
    if (options.memoryLimit !== undefined) limitMemory(cgroup, options.memoryLimit);
    const answer = await node.call<{ podSandboxId: string }>("RunPodSandbox", {
      config,
      runtimeHandler: options.handler,
    });
    return new Pod(node, answer.podSandboxId, cgroup, config, namespaceOptions);
  }

  private constructor(node: CriNode, id: string, cgroup: string, config: Fields, namespaceOptions: Fields) {
    this.#node = node;
    this.id = id;
    this.#cgroup = cgroup;
    this.#config = config;
    this.#namespaceOptions = namespaceOptions;
  }

  async state(): Promise<number> {
    const { status } = await this.#node.call<{ status: { state: number } }>("PodSandboxStatus", {
      podSandboxId: this.id,
    });
    return status.state;
  }

  /** The first process of a pod's pause container, or whatever the runtime has in its place. */
  async pid(): Promise<number> {
    const { info } = await this.#node.call<{ info: Record<string, string> }>("PodSandboxStatus", {
      podSandboxId: this.id,
      verbose: true,
    });
    return (JSON.parse(info.info ?? "{}") as { pid: number }).pid;
  }

  async create(name: string, command: readonly string[], options: ContainerOptions = {}): Promise<PodContainer> {
    const answer = await this.#node.call<{ containerId: string }>("CreateContainer", {
      podSandboxId: this.id,
      config: {
        metadata: { name, attempt: 0 },
        image: { image: this.#node.image },
        command,
        logPath: `${name}.log`,
        linux: {
          resources: { memoryLimitInBytes: BigInt(options.memoryLimit ?? 0) },
          securityContext: { namespaceOptions: this.#namespaceOptions },
        },
      },
      sandboxConfig: this.#config,
    });
    return new PodContainer(this.#node, answer.containerId);
  }

  async start(name: string, command: readonly string[], options: ContainerOptions = {}): Promise<PodContainer> {
    const container = await this.create(name, command, options);
    await container.start();
    return container;
  }

  async stop(): Promise<void> {
    await this.#node.call("StopPodSandbox", { podSandboxId: this.id });
  }

  /** What the kubelet does at a pod's end. */
  async end(): Promise<void> {
    await this.stop();
    await this.#node.call("RemovePodSandbox", { podSandboxId: this.id });
    await removePodCgroup(this.#cgroup);
  }
}

export class PodContainer {
  readonly id: string;
  readonly #node: CriNode;

  constructor(node: CriNode, id: string) {
    this.#node = node;
    this.id = id;
  }

  async start(): Promise<void> {
    await this.#node.call("StartContainer", { containerId: this.id });
  }

  async status(): Promise<ContainerStatus> {
    const { status } = await this.#node.call<{ status: ContainerStatus }>("ContainerStatus", { containerId: this.id });
    return status;
  }

  async pid(): Promise<number> {
    const { info } = await this.#node.call<{ info: Record<string, string> }>("ContainerStatus", {
      containerId: this.id,
      verbose: true,
    });
    return (JSON.parse(info.info ?? "{}") as { pid: number }).pid;
  }

  async exited(): Promise<ContainerStatus> {
    const ended = async () => {
      const status = await this.status();
      return status.state === containerState.exited ? status : undefined;
    };
    return await eventually(`the end of ${this.id}`, ended, seconds(20));
  }

  async execSync(cmd: readonly string[]): Promise<{ stdout: string; stderr: string; exitCode: number }> {
    const answer = await this.#node.call<{ stdout: Uint8Array; stderr: Uint8Array; exitCode: number }>("ExecSync", {
      containerId: this.id,
      cmd,
      timeout: 20n,
    });
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
    return { stdout: text(answer.stdout), stderr: text(answer.stderr), exitCode: answer.exitCode };
  }

  async stop(graceSeconds: number): Promise<void> {
    await this.#node.call("StopContainer", { containerId: this.id, timeout: BigInt(graceSeconds) });
  }

  async remove(): Promise<void> {
    await this.#node.call("RemoveContainer", { containerId: this.id });
  }
}

/** The kubelet makes the cgroup of a pod before the pod, with what its containers may use together. */
function limitMemory(cgroup: string, bytes: number): void {
  const dir = join(memoryRoot, cgroup);
  mkdirSync(dir, { recursive: true });
  if (unifiedMemory) {
    for (const at of [memoryRoot, join(dir, "..")]) writeFileSync(join(at, "cgroup.subtree_control"), "+memory");
  }
  writeFileSync(join(dir, memoryFiles.limit), String(bytes));
}

/** In all hierarchies; it fails while a container's cgroup is below it. */
async function removePodCgroup(cgroup: string): Promise<void> {
  for (const path of await cgroupsNaming(cgroup)) {
    if (path.endsWith(cgroup)) await rmdir(path);
  }
}
