import { describe, expect, test } from "vitest";
import { detectCgroups } from "../../../src/host/cgroup/detect.js";
import { ancestors, cgroupPath } from "../../../src/host/cgroup/path.js";
import {
  decodePlacement,
  encodePlaces,
  freezerPlace,
  placementOf,
  placeOf,
  processPlace,
} from "../../../src/host/cgroup/placement.js";

// /proc/self/mountinfo of a Debian 12 machine booted with one hierarchy a controller.
const separate = `27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;

// Of Ubuntu 20.04 under systemd's hybrid layout.
const coMounted = `25 30 0:23 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
33 32 0:28 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
34 32 0:29 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
38 32 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:15 - cgroup cgroup rw,cpu,cpuacct
39 32 0:34 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,net_cls,net_prio
40 32 0:35 / /sys/fs/cgroup/freezer rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,freezer
99 32 0:33 /docker/x /var/lib/x/cgroup\\040cpu rw shared:15 - cgroup cgroup rw,cpu,cpuacct
`;

const unified = "31 25 0:26 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup rw\n";

const host = (mountinfo: string, files: Record<string, string> = {}) =>
  detectCgroups((path) => (path === "/proc/self/mountinfo" ? mountinfo : files[path]));

const v2 = host(unified, { "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n" });

describe("which trees a host has", () => {
  test("one hierarchy a controller, and a unified tree without any: v1 does the work", () => {
    const { mode, hierarchies } = host(separate, { "/sys/fs/cgroup/unified/cgroup.controllers": "\n" });
    expect(mode).toBe("hybrid");
    expect(hierarchies.map(({ version, mountPoint, options }) => `${version} ${mountPoint} ${options}`)).toEqual([
      "1 /sys/fs/cgroup/cpu cpu",
      "1 /sys/fs/cgroup/memory memory",
      "1 /sys/fs/cgroup/systemd name=systemd",
    ]);
  });

  test("a unified tree with controllers takes part beside v1", () => {
    const { mode, hierarchies } = host(separate, { "/sys/fs/cgroup/unified/cgroup.controllers": "pids io\n" });
    expect(mode).toBe("hybrid");
    expect(hierarchies.at(-1)).toEqual({
      version: 2,
      mountPoint: "/sys/fs/cgroup/unified",
      controllers: ["pids", "io"],
      options: "",
    });
  });

  test("co-mounted controllers are one hierarchy, however often it is mounted", () => {
    const { hierarchies } = host(coMounted);
    expect(hierarchies.map(({ mountPoint, controllers, options }) => [mountPoint, controllers, options])).toEqual([
      ["/sys/fs/cgroup/systemd", [], "name=systemd"],
      ["/sys/fs/cgroup/cpu,cpuacct", ["cpu", "cpuacct"], "cpu,cpuacct"],
      ["/sys/fs/cgroup/net_cls,net_prio", ["net_cls", "net_prio"], "net_cls,net_prio"],
      ["/sys/fs/cgroup/freezer", ["freezer"], "freezer"],
    ]);
  });

  test("unified", () => {
    expect(v2.mode).toBe("v2");
    expect(v2.hierarchies[0]?.controllers).toContain("memory");
  });

  test("v1 alone, and nothing at all", () => {
    expect(host(separate.replace(/^41.*\n/m, "")).mode).toBe("v1");
    expect(() => host("27 1 254:0 / / rw - ext4 /dev/vda rw\n")).toThrow("no cgroup file system is mounted");
  });
});

describe("cgroupsPath", () => {
  test.each([
    ["", "/vigil/k8s.io/c1"],
    ["/k8s.io/c1", "/k8s.io/c1"],
    ["//a/./b/", "/a/b"],
    ["pods/c1", "/vigil/pods/c1"],
    ["/a:b:c", "/a:b:c"],
  ])("%j is %s", (given, path) => {
    expect(cgroupPath(given, "k8s.io", "c1")).toBe(path);
  });

  test.each([
    ["/", "invalid_argument", "root cgroup"],
    ["/.", "invalid_argument", "root cgroup"],
    ["/a/../..", "invalid_argument", "leaves its hierarchy"],
    ["../x", "invalid_argument", "leaves its hierarchy"],
    ["/a\nb", "invalid_argument", "newline"],
    ["system.slice:cri:c1", "unimplemented", "systemd driver"],
    [":cri:c1", "unimplemented", "systemd driver"],
  ])("%j is refused", (given, code, words) => {
    expect(() => cgroupPath(given, "k8s.io", "c1")).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(words) }),
    );
  });

  test("what is above", () => {
    expect(ancestors("/sys/fs/cgroup", "/a/b/c")).toEqual(["/sys/fs/cgroup/a", "/sys/fs/cgroup/a/b"]);
    expect(ancestors("/sys/fs/cgroup", "/c")).toEqual([]);
  });
});

describe("a container's places", () => {
  const legacy = placementOf(host(coMounted), "/ns/c1");

  test("survive being written down, mount points with blanks too", () => {
    for (const placement of [
      legacy,
      placementOf(v2, "/ns/c1"),
      placementOf(host("1 1 0:1 / /a\\040b rw - cgroup c rw,memory\n"), "/x"),
    ]) {
      expect(decodePlacement(placement.mode, placement.path, encodePlaces(placement))).toEqual(placement);
    }
  });

  test("are found by controller", () => {
    expect(placeOf(legacy, "cpuacct")?.directory).toBe("/sys/fs/cgroup/cpu,cpuacct/ns/c1");
    expect(placeOf(legacy, "memory")).toBeUndefined();
    expect(placeOf(placementOf(v2, "/ns/c1"), "blkio")?.directory).toBe("/sys/fs/cgroup/ns/c1");
    expect(processPlace(legacy)?.controllers).toEqual(["freezer"]);
    expect(freezerPlace(legacy)?.controllers).toEqual(["freezer"]);
    expect(freezerPlace(placementOf(v2, "/c"))?.version).toBe(2);
    expect(freezerPlace(placementOf(host(separate), "/c"))).toBeUndefined();
  });
});
