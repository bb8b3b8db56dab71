// A program of its own on vigil/client: runs a container until it is killed for want of memory, follows its events meanwhile,
// and reads the report. As root, after `make setup build`:
//   npx tsx examples/watch-ooms.ts
import { join, resolve } from "node:path";
import {
  bundlePath,
  containerSpec,
  createContainer,
  deleteContainer,
  layRootfs,
  makeBundle,
  ownNamespace,
  places,
  removeBundle,
  type Shim,
  writeConfig,
} from "../src/client/index.js";

const build = resolve(import.meta.dirname, "../build");
const id = `watched-${process.pid}`;
const bundle = bundlePath(places(), ownNamespace, id);
const command = { binary: join(build, "bin/containerd-shim-vigil-v1"), namespace: ownNamespace, id, bundle };

async function follow({ vigil }: Shim): Promise<void> {
  // Resumes by itself when the daemon behind the socket restarts; ends with the exit.
  for await (const { sequence, topic } of vigil.events({ containers: [id], follow: true })) {
    console.log(`event ${sequence}: ${topic}`);
    if (topic === "/tasks/exit") return;
  }
}

await makeBundle(bundle);
try {
  const rootfs = await layRootfs(bundle, join(build, "lib/vigil/rootfs"));
  const spec = containerSpec({
    argv: ["tail", "/dev/zero"],
    rootPath: join(bundle, "rootfs"),
    cgroupsPath: `/${ownNamespace}-${id}`,
    limits: { memoryBytes: 32n << 20n },
  });
  await writeConfig(bundle, spec);
  const stdio = { stdin: "", stdout: "", stderr: "", terminal: false };
  const shim = await createContainer({ ...command, rootfs, stdio });
  try {
    const following = follow(shim);
    // A change carries an id: repeated after a lost connection, it still starts the container once.
    await shim.task.start({ id, execId: "" });
    const { exitStatus } = await shim.task.wait({ id, execId: "" });
    await following;
    console.log(`exit status ${exitStatus}`);
    for (const report of await shim.vigil.oomReports(id)) console.log(report.summary);
  } finally {
    await shim.task.kill({ id, execId: "", signal: 9, all: true }).catch((error: Error) => {
      // The usual case: it has ended.
      if (!/finished|not found/i.test(error.message)) throw error;
    });
    await deleteContainer(shim, command);
    shim.close();
  }
} finally {
  await removeBundle(bundle);
}
