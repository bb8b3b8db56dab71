import { describe, expect, test } from "vitest";
import { CreateSandboxRequest } from "../../../src/gen/containerd/runtime/sandbox/v1/sandbox.js";
import { NamespaceMode, PodSandboxConfig } from "../../../src/gen/cri/v1/pod.js";
import { toSandboxSpec } from "../../../src/rpc/sandbox-spec.js";

const { POD, CONTAINER, NODE } = NamespaceMode;
const isolated = { network: POD, pid: CONTAINER, ipc: POD };

type Request = Parameters<typeof CreateSandboxRequest.fromPartial>[0];
type Pod = Parameters<typeof PodSandboxConfig.fromPartial>[0];

function request(change: Request = {}): CreateSandboxRequest {
  return CreateSandboxRequest.fromPartial({ sandboxId: "p1", netnsPath: "/run/netns/x", ...change });
}

function ofPod(pod: Pod, change: Request = {}): CreateSandboxRequest {
  const value = PodSandboxConfig.encode(PodSandboxConfig.fromPartial(pod)).finish();
  return request({ options: { typeUrl: "runtime.v1.PodSandboxConfig", value }, ...change });
}

const linux = (namespaceOptions: object, rest: object = {}) => ({ securityContext: { namespaceOptions }, ...rest });

describe("a sandbox", () => {
  test("of the kubelet's has its network, name and ipc", () => {
    const pod = { hostname: "web-0", linux: linux(isolated, { cgroupParent: "/pods/p1" }) };
    expect(toSandboxSpec(ofPod(pod))).toEqual({
      id: "p1",
      network: "/run/netns/x",
      ownIpc: true,
      ownUts: true,
      hostname: "web-0",
      cgroupParent: "/pods/p1",
    });
  });

  test("on the machine's network has the machine's name", () => {
    const pod = { hostname: "web-0", linux: linux({ network: NODE, pid: NODE, ipc: NODE }) };
    expect(toSandboxSpec(ofPod(pod, { netnsPath: "" }))).toMatchObject({
      network: "",
      ownIpc: false,
      ownUts: false,
      hostname: "",
    });
  });

  test.each([
    ["/run/netns/x", true],
    ["", false],
  ])("without options, network %j", (netnsPath, ownUts) => {
    const expected = { id: "p1", network: netnsPath, ownIpc: true, ownUts, hostname: "", cgroupParent: "" };
    expect(toSandboxSpec(request({ netnsPath }))).toEqual(expected);
  });

  test.each([
    ["an id with a slash", request({ sandboxId: "a/b" }), "invalid_argument", '"a/b"'],
    ["a relative network", request({ netnsPath: "netns/x" }), "invalid_argument", '"netns/x"'],
    [
      "options that nobody knows",
      request({ options: { typeUrl: "x.Y", value: Buffer.of(1) } }),
      "invalid_argument",
      "x.Y",
    ],
    [
      "options that are no message",
      request({ options: { typeUrl: "runtime.v1.PodSandboxConfig", value: Buffer.of(0xff) } }),
      "invalid_argument",
      "malformed",
    ],
    ["a missing network", ofPod({ linux: linux(isolated) }, { netnsPath: "" }), "invalid_argument", "netns_path"],
    ["a root file system", request({ rootfs: [{ type: "bind" }] }), "unimplemented", "rootfs"],
    [
      "a shared pid namespace",
      ofPod({ linux: linux({ ...isolated, pid: POD }) }),
      "unimplemented",
      "namespace_options.pid",
    ],
    ["nothing said of the pids", ofPod({}), "unimplemented", "namespace_options.pid"],
    [
      "a user namespace",
      ofPod({ linux: linux({ ...isolated, usernsOptions: { mode: POD } }) }),
      "unimplemented",
      "userns_options",
    ],
    [
      "sysctls",
      ofPod({ linux: linux(isolated, { sysctls: { "net.core.somaxconn": "9" } }) }),
      "unimplemented",
      "sysctls",
    ],
    [
      "name servers",
      ofPod({ linux: linux(isolated), dnsConfig: { servers: ["192.0.2.1"] } }),
      "unimplemented",
      "dns_config",
    ],
  ])("with %s is refused by name", (_, wrong, code, name) => {
    const refused = expect.objectContaining({ code, message: expect.stringContaining(name) });
    expect(() => toSandboxSpec(wrong)).toThrow(refused);
  });
});
