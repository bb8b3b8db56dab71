// A network plugin (CNI specification 1.0.0) that leaves a pod's network namespace empty and says that all is well.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const plugin = `#!/bin/sh
# The answer has the version of the question.
version=$(sed -n 's/.*"cniVersion": *"\\([0-9.]*\\)".*/\\1/p' | head -n 1)
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}' ;;
ADD) echo '{"cniVersion":"'"\${version:-1.0.0}"'","interfaces":[{"name":"'"$CNI_IFNAME"'","sandbox":"'"$CNI_NETNS"'"}],
  "ips":[{"version":"4","interface":0,"address":"192.0.2.2/32"}]}' ;;
esac
`;

/** Writes plugin and configuration, returns their directories. */
export async function makeNetwork(base: string): Promise<{ readonly plugins: string; readonly configuration: string }> {
  const plugins = join(base, "cni/bin");
  const configuration = join(base, "cni/conf");
  await mkdir(plugins, { recursive: true });
  await mkdir(configuration, { recursive: true });
  // containerd asks for "loopback" by itself.
  for (const name of ["empty", "loopback"]) await writeFile(join(plugins, name), plugin, { mode: 0o755 });
  const list = { cniVersion: "1.0.0", name: "empty", plugins: [{ type: "empty" }] };
  await writeFile(join(configuration, "empty.conflist"), JSON.stringify(list));
  return { plugins, configuration };
}
