// A node as the kubelet sees it: a containerd with the CRI plugin, the runtime under test beside the stock one.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { bed, seconds, stockRuntime, type Version } from "../bed.js";
import { cgroupsNaming, removeEmptyCgroups } from "../cgroup-tree.js";
import { eventually } from "../command.js";
import { type Containerd, startContainerd } from "../containerd.js";
import { makeImageArchive } from "../oci-image.js";
import { CriClient, type Fields } from "./client.js";
import { makeNetwork } from "./network.js";

/** Handlers of the configuration: the runtime under test, the stock one, and ours without a pause container (2.x). */
export type Handler = "vigil" | "runc" | "vigil-pod";

/** Where the CRI plugin puts all containers. */
export const criNamespace = "k8s.io";

const image = "vigil.test/busybox:latest";
const pauseImage = "vigil.test/pause:latest";

async function criTables(version: Version, base: string): Promise<string> {
  const network = await makeNetwork(base);
  const cri = version === "1.7" ? 'plugins."io.containerd.grpc.v1.cri"' : 'plugins."io.containerd.cri.v1.runtime"';
  const runtimes = `${cri}.containerd`;
  const runtime = (handler: Handler, type: string) => [
    `[${runtimes}.runtimes.${handler}]`,
    `  runtime_type = "${type}"`,
    ...(handler === "vigil-pod" ? ['  sandboxer = "shim"'] : []),
  ];
  return [
    ...(version === "1.7"
      ? [`[${cri}]`, `  sandbox_image = "${pauseImage}"`]
      : ['[plugins."io.containerd.cri.v1.images".pinned_images]', `  sandbox = "${pauseImage}"`]),
    ...(version === "1.7" ? [] : [`[${cri}]`]),
    // The pause container's -998 needs CAP_SYS_RESOURCE, which machines for tests often lack.
    "  restrict_oom_score_adj = true",
    "  netns_mounts_under_state_dir = true",
    `[${cri}.cni]`,
    `  bin_dir = "${network.plugins}"`,
    `  conf_dir = "${network.configuration}"`,
    `[${runtimes}]`,
    '  default_runtime_name = "runc"',
    ...runtime("vigil", bed.runtime),
    ...runtime("runc", stockRuntime),
    ...(version === "1.7" ? [] : runtime("vigil-pod", bed.runtime)),
  ].join("\n");
}

export interface CriNode {
  readonly containerd: Containerd;
  /** The cgroup above all pods' own. */
  readonly cgroupParent: string;
  readonly image: string;
  /** A method of the RuntimeService. */
  call<Answer = Fields>(method: string, request: Fields): Promise<Answer>;
  close(): Promise<void>;
}

export async function startNode(version: Version, env: Readonly<Record<string, string>> = {}): Promise<CriNode> {
  // The namespace is not this run's own, so its reports go where this run's things are.
  const environment = (base: string) => ({ VIGIL_STATE: join(base, "vigil"), ...env });
  const containerd = await startContainerd(version, {
    cri: (base) => criTables(version, base),
    env: environment,
  });
  const client = new CriClient(containerd.socket);
  const cgroupParent = `/${containerd.namespace}`;

  const provide = async (name: string, command: readonly string[]) => {
    const archive = await makeImageArchive(containerd.rootfs, name, containerd.base, command);
    const { code, stderr } = await containerd.ctr(["--namespace", criNamespace, "images", "import", archive]);
    if (code !== 0) throw new Error(`images import: ${stderr}`);
    await rm(archive);
    // The plugin learns of it by an event.
    const known = async () => {
      const answer = await client.call<{ image?: Fields }>("ImageService/ImageStatus", { image: { image: name } });
      return answer.image;
    };
    await eventually(`the CRI plugin knows ${name}`, known, seconds(20));
  };

  /** Pods of a test that failed half-way. */
  const endSurvivors = async () => {
    const { items } = await client.call<{ items: { id: string }[] }>("RuntimeService/ListPodSandbox", {});
    for (const { id } of items) {
      await client.call("RuntimeService/StopPodSandbox", { podSandboxId: id });
      await client.call("RuntimeService/RemovePodSandbox", { podSandboxId: id });
    }
  };

  await provide(image, ["/bin/sh"]);
  await provide(pauseImage, ["/bin/sleep", "100000"]);
  return {
    containerd,
    cgroupParent,
    image,
    call: (method, request) => client.call(`RuntimeService/${method}`, request),
    close: async () => {
      await endSurvivors();
      client[Symbol.dispose]();
      await containerd.close();
      await removeEmptyCgroups(cgroupParent);
      const left = await cgroupsNaming(cgroupParent);
      if (left.length > 0) throw new Error(`cgroups in use: ${left.join(", ")}`);
    },
  };
}
