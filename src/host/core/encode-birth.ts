import type { Birth, OciBirth, Restore, StreamKind } from "./birth.js";
import { writeCriu, writeProgram } from "./ops.js";
import { Writer } from "./writer.js";

/** enum vg_stream */
const streamKinds: Record<StreamKind, number> = { null: 0, path: 1, file: 2, logger: 3, inherit: 4 };

/** `struct birth` of native/include/vigil.h: what VG_CMD_BIRTH carries after its key. */
export function encodeBirth(birth: Birth): Uint8Array {
  const writer = new Writer();
  writer
    .str(birth.container)
    .str(birth.exec)
    .str(birth.teardown)
    .bool(birth.terminal)
    .u32(birth.ioUid)
    .u32(birth.ioGid)
    .u32(birth.ioTimeoutMs);
  for (const { kind, path } of birth.streams) writer.u8(streamKinds[kind]).str(path);
  return writer
    .strs(birth.logger.argv)
    .strs(birth.logger.env)
    .bool(birth.logger.mustReady)
    .bytes(birth.script)
    .u8(birth.watch.version)
    .str(birth.watch.cgroup)
    .strs(birth.watch.held)
    .strs(birth.watch.snapshot)
    .u64(birth.cloneFlags)
    .list(birth.joins, (w, join) => w.u64(join.flag).str(join.path))
    .u64(birth.initNamespaces)
    .u8(birth.cgroup.version)
    .strs(birth.cgroup.directories)
    .bytes(birth.ops)
    .finish();
}

/** `struct oci_birth`: what VG_CMD_OCI_BIRTH carries after that. */
export function encodeOciBirth({ program, undo, pidFile, consoleSocket, files }: OciBirth): Uint8Array {
  const writer = new Writer();
  writeProgram(writer, program);
  writeProgram(writer, undo);
  return writer.str(pidFile).str(consoleSocket).strs(files).finish();
}

/** `struct restore`: what VG_CMD_RESTORE carries after that. */
export function encodeRestore({ criu, root, inherited, directories, files, undo }: Restore): Uint8Array {
  return writeCriu(new Writer(), criu).str(root).strs(inherited).strs(directories).strs(files).bytes(undo).finish();
}
