// An OCI image made of a directory, so that tests need no registry.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./command.js";

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

async function tar(args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(["tar", ...args]);
  if (code !== 0) throw new Error(`tar ${args.join(" ")}: ${stderr}`);
}

/** Writes an image archive (image-spec, image-layout.md) with one layer and returns its path. */
export async function makeImageArchive(
  rootfs: string,
  name: string,
  dir: string,
  command: readonly string[] = ["/bin/sh"],
): Promise<string> {
  const layout = await mkdtemp(join(dir, "image-"));
  await mkdir(join(layout, "blobs/sha256"), { recursive: true });
  const add = async (mediaType: string, content: Buffer): Promise<Descriptor> => {
    const hex = createHash("sha256").update(content).digest("hex");
    await writeFile(join(layout, "blobs/sha256", hex), content);
    return { mediaType, digest: `sha256:${hex}`, size: content.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));

  const layerPath = join(layout, "layer.tar");
  await tar(["-C", rootfs, "--sort=name", "--mtime=@0", "--exclude=./.complete", "-cf", layerPath, "."]);
  const layer = await add("application/vnd.oci.image.layer.v1.tar", await readFile(layerPath));
  await rm(layerPath);
  const config = await add(
    "application/vnd.oci.image.config.v1+json",
    json({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: { Env: ["PATH=/bin:/usr/bin", "FROM_IMAGE=from the image"], Cmd: command },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    }),
  );
  const manifest = await add(
    "application/vnd.oci.image.manifest.v1+json",
    json({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers: [layer] }),
  );
  const annotations = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": "latest" };
  await writeFile(join(layout, "index.json"), json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }));
  await writeFile(join(layout, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  const archive = `${layout}.tar`;
  await tar(["-C", layout, "-cf", archive, "oci-layout", "index.json", "blobs"]);
  await rm(layout, { recursive: true });
  return archive;
}
