import { VigilError } from "../base/errors.js";
import type { CreateSandboxRequest } from "../gen/containerd/runtime/sandbox/v1/sandbox.js";
import { NamespaceMode, type NamespaceOption, PodSandboxConfig } from "../gen/cri/v1/pod.js";
import type { SandboxSpec } from "../task/ports.js";
import { checkId, typeName } from "./convert.js";

const podType = "runtime.v1.PodSandboxConfig";

/** CreateSandbox in the model's words. What the core cannot be for a pod is refused by name. */
export function toSandboxSpec(request: CreateSandboxRequest): SandboxSpec {
  const id = checkId("sandbox id", request.sandboxId);
  if (request.rootfs.length > 0) refuse("rootfs", "a sandbox has no root file system of its own");
  const network = request.netnsPath;
  if (network !== "" && !network.startsWith("/")) {
    throw new VigilError("invalid_argument", `netns_path ${JSON.stringify(network)} is not an absolute path`);
  }
  const pod = readPod(request);
  if (!pod) return { id, network, ownIpc: true, ownUts: network !== "", hostname: "", cgroupParent: "" };

  const namespaces = pod.linux?.securityContext?.namespaceOptions;
  const own = (kind: "network" | "pid" | "ipc"): boolean => namespaces?.[kind] !== NamespaceMode.NODE;
  checkNamespaces(namespaces);
  if (own("network") && network === "") {
    throw new VigilError("invalid_argument", "netns_path is missing, and the pod is not on the machine's network");
  }
  if (Object.keys(pod.linux?.sysctls ?? {}).length > 0) refuse("linux.sysctls", "sysctls of a pod");
  const { servers = [], searches = [], options = [] } = pod.dnsConfig ?? {};
  if (servers.length + searches.length + options.length > 0) refuse("dns_config", "resolv.conf of a pod");
  return {
    id,
    network: own("network") ? network : "",
    ownIpc: own("ipc"),
    // As for a pause container: on the machine's network a pod has the machine's name, too.
    ownUts: own("network"),
    hostname: own("network") ? pod.hostname : "",
    cgroupParent: pod.linux?.cgroupParent ?? "",
  };
}

function readPod({ options }: CreateSandboxRequest): PodSandboxConfig | undefined {
  if (!options || options.typeUrl === "") return undefined;
  if (typeName(options.typeUrl) !== podType) {
    throw new VigilError("invalid_argument", `sandbox options of unknown type ${JSON.stringify(options.typeUrl)}`);
  }
  try {
    return PodSandboxConfig.decode(options.value);
  } catch (error) {
    throw new VigilError("invalid_argument", `malformed sandbox options of type ${podType}`, { cause: error });
  }
}

function checkNamespaces(namespaces: NamespaceOption | undefined): void {
  const at = "linux.security_context.namespace_options";
  // The core stays in the machine's: a pid namespace ends with its first process, and the core is nobody's first.
  if ((namespaces?.pid ?? NamespaceMode.POD) === NamespaceMode.POD) {
    refuse(`${at}.pid`, "a pid namespace that the pod's containers share");
  }
  if (namespaces?.usernsOptions && namespaces.usernsOptions.mode !== NamespaceMode.NODE) {
    refuse(`${at}.userns_options`, "user namespaces");
  }
}

function refuse(field: string, what: string): never {
  throw new VigilError("unimplemented", `sandbox options: ${field}: ${what}: use sandboxer "podsandbox"`);
}
