// Capabilities.
import { equal } from "node:assert/strict";
import { statusField } from "./harness/host.js";
import { everywhere, section } from "./harness/test.js";

// Numbers of linux/capability.h
const bits = {
  CAP_CHOWN: 0,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_BIND_SERVICE: 10,
  CAP_SYS_CHROOT: 18,
};
type Name = keyof typeof bits;

function mask(...names: Name[]): string {
  return names
    .reduce((sum, name) => sum | (1n << BigInt(bits[name])), 0n)
    .toString(16)
    .padStart(16, "0");
}

function capabilities(sets: Readonly<Record<string, unknown>>) {
  const none = {
    bounding: undefined,
    effective: undefined,
    permitted: undefined,
    inheritable: undefined,
    ambient: undefined,
  };
  return { process: { capabilities: { ...none, ...sets } } };
}

const some: Name[] = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
const usual = { bounding: some, permitted: some, effective: some };

export const capabilityTests = section("config.md#linux-process", {
  "capabilities: bounding is the bounding set": async (t) => {
    equal(statusField(await t.probe("cat /proc/self/status", capabilities(usual)), "CapBnd"), mask(...some));
  },
  "capabilities: permitted and effective are what root has": async (t) => {
    const out = await t.probe("cat /proc/self/status", capabilities(usual));
    equal(statusField(out, "CapPrm"), mask(...some));
    equal(statusField(out, "CapEff"), mask(...some));
  },
  "capabilities: inheritable is the inheritable set": async (t) => {
    const out = await t.probe("cat /proc/self/status", capabilities({ ...usual, inheritable: ["CAP_KILL"] }));
    equal(statusField(out, "CapInh"), mask("CAP_KILL"));
  },
  "capabilities: ambient ones are there for another user than root": async (t) => {
    const ambient: Name[] = ["CAP_NET_BIND_SERVICE"];
    const edit = capabilities({ ...usual, inheritable: ambient, ambient });
    const out = await t.probe("cat /proc/self/status", {
      process: { ...edit.process, user: { uid: 1000, gid: 1000 } },
    });
    equal(statusField(out, "CapAmb"), mask(...ambient));
    equal(statusField(out, "CapEff"), mask(...ambient));
  },
  "capabilities: without ambient another user than root has none": async (t) => {
    const edit = capabilities({ ...usual, inheritable: some });
    const out = await t.probe("cat /proc/self/status", {
      process: { ...edit.process, user: { uid: 1000, gid: 1000 } },
    });
    equal(statusField(out, "CapAmb"), mask());
    equal(statusField(out, "CapEff"), mask());
  },
  "capabilities: empty sets leave none": async (t) => {
    const out = await t.probe("cat /proc/self/status", capabilities({ bounding: [], permitted: [], effective: [] }));
    for (const set of ["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"]) equal(statusField(out, set), mask());
  },
  "capabilities: without the object there are none": async (t) => {
    const out = await t.probe("cat /proc/self/status", { process: { capabilities: undefined } });
    for (const set of ["CapEff", "CapInh", "CapAmb"]) equal(statusField(out, set), mask());
  },
  "capabilities: a name that no kernel knows is no error": async (t) => {
    const names = [...some, "CAP_NO_SUCH"];
    const out = await t.probe(
      "cat /proc/self/status",
      capabilities({ bounding: names, permitted: names, effective: names }),
    );
    equal(statusField(out, "CapEff"), mask(...some));
  },
  "capabilities: one that the runtime lacks is no error": everywhere(
    "runc and crun give capset(2) what the runtime lacks itself",
    async (t) => {
      const own = BigInt(`0x${statusField(await t.host("cat", "/proc/self/status"), "CapPrm")}`);
      // The last one of a 6.x kernel, CAP_CHECKPOINT_RESTORE, and CAP_SYS_RESOURCE, which a restricted root often lacks.
      const names = [...some, "CAP_SYS_RESOURCE", "CAP_CHECKPOINT_RESTORE"];
      const out = await t.probe(
        "cat /proc/self/status",
        capabilities({ bounding: names, permitted: names, effective: names }),
      );
      const granted = BigInt(`0x${statusField(out, "CapEff")}`);
      equal(granted & ~own, 0n);
      equal(granted & BigInt(`0x${mask(...some)}`), BigInt(`0x${mask(...some)}`));
    },
  ),
  "capabilities: a process of exec has the container's": async (t) => {
    const container = await t.running(capabilities(usual));
    equal(statusField((await container.exec("cat /proc/self/status")).out, "CapEff"), mask(...some));
  },
  "capabilities: exec --cap adds one": async (t) => {
    const container = await t.running(capabilities(usual));
    const { out } = await container.exec("cat /proc/self/status", ["--cap", "CAP_SYS_CHROOT"]);
    equal(statusField(out, "CapEff"), mask(...some, "CAP_SYS_CHROOT"));
  },
  "capabilities: what is not granted is not possible": async (t) => {
    equal(
      await t.probe(
        "chown 1:1 /etc/passwd 2>/dev/null || echo refused",
        capabilities({ bounding: [], permitted: [], effective: [] }),
      ),
      "refused",
    );
  },
});
