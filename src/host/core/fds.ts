import { join } from "node:path";
import { VigilError } from "../../base/errors.js";

export interface FdReceiver {
  /** The descriptor sent with that tag; it is there once a record has named the tag (native/include/vigil.h). */
  take(tag: bigint): Promise<number>;
}

/**
 * Descriptors from the SEQPACKET socket: Node's sockets drop SCM_RIGHTS silently, so one recvmsg(MSG_DONTWAIT) goes through
 * libvigil. koffi and the library are loaded with the first descriptor: a shim that only speaks ttrpc never needs them.
 */
export function createFdReceiver(socket: number, libraryDirectory: string): FdReceiver {
  type Receive = (socket: number, tag: BigUint64Array) => number;
  let loading: Promise<Receive> | undefined;
  const early = new Map<bigint, number>();

  const load = async (): Promise<Receive> => {
    const { default: koffi } = await import("koffi");
    const library = koffi.load(join(libraryDirectory, "libvigil.so"));
    return library.func("int vg_receive_fd(int socket, _Out_ uint64_t *ret_tag)") as unknown as Receive;
  };

  return {
    async take(tag) {
      loading ??= load();
      const receive = await loading;
      for (;;) {
        const fd = early.get(tag);
        if (fd !== undefined) {
          early.delete(tag);
          return fd;
        }
        const received = new BigUint64Array(1);
        const result = receive(socket, received);
        if (result < 0) throw new VigilError("internal", `descriptor ${tag} from the core: errno ${-result}`);
        early.set(received[0] ?? 0n, result);
      }
    },
  };
}
