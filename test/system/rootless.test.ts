// vigil-runtime without root: what the kernel lets an unprivileged user have, and clear words for the rest.
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { detectCgroups } from "../../src/host/cgroup/detect.js";
import { prepareBed, seconds } from "../support/bed.js";
import { type Config, UnprivilegedRuntime, user } from "../support/unprivileged.js";

let runtime: UnprivilegedRuntime;
let whyNot: string | undefined;
beforeAll(() => {
  prepareBed();
  runtime = new UnprivilegedRuntime();
  whyNot = runtime.whyNot();
});
afterAll(() => runtime[Symbol.dispose]());
beforeEach((context) => {
  if (whyNot !== undefined) context.skip(whyNot);
});

function withoutNamespace({ linux }: Config, kind: string): void {
  linux.namespaces = linux.namespaces.filter(({ type }: { type: string }) => type !== kind);
  if (kind === "user") linux.uidMappings = linux.gidMappings = [];
}

const patience = { timeout: seconds(20) };
const state = () => JSON.parse(runtime.call(["state", "c"]).output);

describe("run", () => {
  test("as root of a user namespace that has one user, and nothing is left", () => {
    runtime.configure(["sh", "-c", "id -u; cat /proc/self/uid_map /proc/self/setgroups; exit 7"]);
    const { status, output } = runtime.run();
    expect(output.split(/\s+/)).toEqual(["0", "0", `${user.uid}`, "1", "deny"]);
    expect(status).toBe(7);
    const root = join(runtime.runtimeDirectory, "vigil-runtime");
    expect(readdirSync(root)).toEqual([]);
    expect((statSync(root).mode & 0o7777).toString(8)).toBe("1700");
  });

  test("the devices are the host's, the cgroups those of the caller", () => {
    const look = "echo lost >/dev/null; head -c 4 /dev/zero | wc -c; cat /proc/self/cgroup; ls /sys/fs/cgroup";
    runtime.configure(["sh", "-c", look], (config) => withoutNamespace(config, "cgroup"));
    const own = readFileSync("/proc/self/cgroup", "utf8");
    const { output } = runtime.run();
    expect(output.startsWith(`4\n${own}`)).toBe(true);
    expect(output.slice(2 + own.length)).toContain(detectCgroups().mode === "v2" ? "cgroup.procs" : "memory");
  });

  test("a read-only bind keeps what its source is locked to", () => {
    const source = join(runtime.dir, "locked");
    mkdirSync(source, { recursive: true });
    runtime.configure(["grep", " /mnt ", "/proc/self/mounts"], (config) => {
      config.mounts.push({ destination: "/mnt", type: "bind", source, options: ["rbind", "ro"] });
    });
    const { status, output } = runtime.run({ before: `mount -t tmpfs -o nosuid,nodev,noexec locked ${source}` });
    expect(output).toMatch(/ ro,nosuid,nodev,noexec,/);
    expect(status).toBe(0);
  });

  test("namespaces of time and network are its own", () => {
    runtime.configure(["sh", "-c", "cut -d. -f1 /proc/uptime; ip -o link | wc -l"], (config) => {
      config.linux.namespaces.push({ type: "time" }, { type: "network" });
      config.linux.timeOffsets = { boottime: { secs: 10_000_000 } };
    });
    const [uptime, links] = runtime.run().output.split("\n").map(Number);
    expect(uptime).toBeGreaterThan(10_000_000);
    expect(links).toBe(1);
  });

  test("more users by newuidmap, groups with them", (context) => {
    if (runtime.as(["sh", "-c", "command -v newuidmap newgidmap"]).status !== 0) {
      context.skip("newuidmap and newgidmap (Debian: package uidmap) are not installed");
    }
    const ranges = join(runtime.dir, "ranges");
    const before = `echo "${user.uid}:100000:65536" >${ranges}; mount --bind ${ranges} /etc/subuid; mount --bind ${ranges} /etc/subgid`;
    runtime.configure(["sh", "-c", "id -u; id -G; cat /proc/self/setgroups"], (config) => {
      const more = { containerID: 1, hostID: 100_000, size: 65_536 };
      config.linux.uidMappings.push(more);
      config.linux.gidMappings.push(more);
      config.process.user = { uid: 1000, gid: 1001, additionalGids: [5] };
    });
    expect(runtime.run({ before }).output.split("\n")).toEqual(["1000", "1001 5", "allow"]);
    const refused = runtime.run();
    expect(refused.output).toContain("map the users of the user namespace: ");
    expect(refused.output).toContain("newuidmap: exit status 1: newuidmap: ");
    expect(refused.status).toBe(1);
  });

  test("root of somebody's user namespace needs no other one, and may have one", () => {
    const inside = [
      "unshare",
      "--user",
      "--map-root-user",
      "--mount",
      join(runtime.dir, "bin/vigil-runtime"),
      "run",
      "c",
    ];
    const show = ["cat", "/proc/self/uid_map", "/proc/self/oom_score_adj"];
    runtime.configure(show, (config) => {
      config.process.oomScoreAdj = 200;
      config.linux.uidMappings[0].hostID = config.linux.gidMappings[0].hostID = 0;
    });
    expect(runtime.as(inside).output.split(/\s+/)).toEqual(["0", "0", "1", "200"]);
    runtime.configure(show, (config) => {
      config.process.oomScoreAdj = 200;
      withoutNamespace(config, "user");
    });
    expect(runtime.as(inside).output.split(/\s+/)).toEqual(["0", `${user.uid}`, "1", "200"]);
  });

  test.each<[string, (config: Config) => void]>([
    [
      "linux.resources.memory: the container can have no cgroup",
      (c) => (c.linux.resources = { memory: { limit: 2 ** 26 } }),
    ],
    ["Permission denied", (c) => (c.linux.cgroupsPath = "/vigil-not-permitted/c")],
    ["is not mapped in the user namespace", (c) => c.mounts[2].options.push("gid=5")],
    ["process.user.uid: 1000 is not mapped", (c) => (c.process.user.uid = 1000)],
    ["process.user.additionalGids: an unprivileged user", (c) => (c.process.user.additionalGids = [0])],
    ["set oom_score_adj to -900: Permission denied", (c) => (c.process.oomScoreAdj = -900)],
    ["linux.namespaces: an unprivileged user needs a user namespace", (c) => withoutNamespace(c, "user")],
  ])("refused: %s", (words, change) => {
    runtime.configure(["true"], change);
    const { status, output } = runtime.run();
    expect(output).toContain(words);
    expect(status).toBe(1);
  });
});

describe("a container that stays", () => {
  test("is created, started, entered, listed, killed, deleted", async () => {
    runtime.configure(["sleep", "1000"], (config) => (config.process.oomScoreAdj = 300));
    expect(runtime.call(["create", "c"])).toEqual({ status: 0, output: "" });
    const { pid, status, owner } = state();
    expect({ status, owner }).toEqual({ status: "created", owner: "nobody" });
    expect(runtime.call(["exec", "c", "true"]).output).toContain("cannot exec in a container before its start");
    expect(runtime.call(["start", "c"]).status).toBe(0);
    expect(state().status).toBe("running");
    expect(readFileSync(`/proc/${pid}/oom_score_adj`, "utf8").trim()).toBe("300");

    const inside = runtime.call(["exec", "c", "sh", "-c", "id -u; cat /proc/self/oom_score_adj /proc/1/comm; exit 5"]);
    expect(inside).toEqual({ status: 5, output: "0\n300\nsleep" });
    expect(runtime.call(["exec", "--detach", "c", "sleep", "2000"]).status).toBe(0);
    const pids = JSON.parse(runtime.call(["ps", "--format", "json", "c"]).output);
    expect(pids).toHaveLength(2);
    expect(pids).toContain(pid);

    expect(runtime.call(["pause", "c"]).output).toContain("cannot pause: the container has no cgroup");
    expect(runtime.call(["update", "--pids-limit", "5", "c"]).output).toContain(
      "resources.pids: the container can have no",
    );
    expect(runtime.call(["delete", "c"]).output).toContain("cannot delete container c that is not stopped");
    expect(runtime.call(["kill", "--all", "c", "KILL"]).status).toBe(0);
    await expect.poll(() => state().status, patience).toBe("stopped");
    expect(runtime.call(["delete", "c"]).status).toBe(0);
    expect(runtime.call(["state", "c"]).output).toContain("does not exist");
  });

  test("is gone when it was deleted by force", () => {
    runtime.configure(["sleep", "1000"]);
    expect(runtime.call(["run", "--detach", "c"])).toEqual({ status: 0, output: "" });
    const { pid } = state();
    expect(runtime.call(["delete", "--force", "c"]).status).toBe(0);
    // Dead; whose child it has become may take a moment to reap it.
    const now = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, "latin1") : "";
    expect(now.slice(now.lastIndexOf(")") + 2, now.lastIndexOf(")") + 3)).toMatch(/^[ZX]?$/);
  });
});

describe("in cgroups that were given to the user", () => {
  const name = `vigil-rootless-${process.pid}`;
  const { mode, hierarchies } = detectCgroups();
  const given = hierarchies.map(({ mountPoint }) => join(mountPoint, name));
  const unified = mode === "v2" ? given[0] : undefined;
  // cgroup-v2.rst, "Delegation Containment": whoever moves processes has to be below, too.
  const before = unified ? `echo $$ >${unified}/caller/cgroup.procs` : "";

  beforeAll(() => {
    for (const directory of given) {
      mkdirSync(directory);
      chownSync(directory, user.uid, user.gid);
      // A v1 cpuset without these can have no children (cgroup-v1/cpusets.rst).
      for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        if (!unified && existsSync(join(directory, file))) {
          writeFileSync(join(directory, file), readFileSync(join(directory, "..", file)));
        }
      }
      for (const file of directory === unified ? ["cgroup.procs", "cgroup.subtree_control"] : []) {
        chownSync(join(directory, file), user.uid, user.gid);
      }
    }
    if (unified) mkdirSync(join(unified, "caller"));
  });
  afterAll(() => {
    if (unified) rmdirSync(join(unified, "caller"));
    for (const directory of given) rmdirSync(directory);
  });

  test("limits hold, and it can be paused", () => {
    runtime.configure(["sleep", "1000"], (config) => {
      config.linux.cgroupsPath = `/${name}/c`;
      config.linux.resources = { pids: { limit: 33 }, devices: [{ allow: false, access: "rwm" }] };
    });
    expect(runtime.call(["run", "--detach", "c"], { before })).toEqual({ status: 0, output: "" });
    const place = hierarchies.find(({ controllers }) => controllers.includes("pids"));
    const file = join(place?.mountPoint ?? "", name, "c/pids.max");
    expect(readFileSync(file, "utf8").trim()).toBe("33");
    expect(readFileSync(join(file, "../cgroup.procs"), "utf8").trim()).toBe(`${state().pid}`);
    expect(runtime.call(["pause", "c"], { before })).toEqual({ status: 0, output: "" });
    expect(state().status).toBe("paused");
    expect(runtime.call(["resume", "c"], { before }).status).toBe(0);
    expect(runtime.call(["update", "--pids-limit", "44", "c"], { before }).status).toBe(0);
    expect(readFileSync(file, "utf8").trim()).toBe("44");
    expect(runtime.call(["exec", "c", "true"], { before })).toEqual({ status: 0, output: "" });
    expect(runtime.call(["delete", "--force", "c"], { before }).status).toBe(0);
    for (const directory of given) expect(existsSync(join(directory, "c"))).toBe(false);
  });
});
