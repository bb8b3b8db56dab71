import type { ContainerRef, Runtime } from "../../task/ports.js";
import { ociRuntime } from "./oci-handle.js";

/**
 * A container is made by the runtime that its options name, and belongs to that one from then on.
 * @param join moves the shim's own processes into the cgroup that the options name
 */
export function createChosenRuntime(native: Runtime, oci: Runtime, join: (shimCgroup: string) => void): Runtime {
  const of = ({ handle }: ContainerRef): Runtime => (handle.runtime === ociRuntime ? oci : native);
  return {
    async create(key, spec) {
      const { binaryName, shimCgroup } = spec.options;
      if (shimCgroup !== "") join(shimCgroup);
      return (binaryName === "" ? native : oci).create(key, spec);
    },
    start: (key, container) => of(container).start(key, container),
    exec: (key, container, spec) => of(container).exec(key, container, spec),
    signal: (key, container, ...rest) => of(container).signal(key, container, ...rest),
    signalAll: (key, container, signal) => of(container).signalAll(key, container, signal),
    pause: (key, container) => of(container).pause(key, container),
    resume: (key, container) => of(container).resume(key, container),
    update: (key, container, resources) => of(container).update(key, container, resources),
    checkpoint: (key, container, spec) => of(container).checkpoint(key, container, spec),
    pids: (container) => of(container).pids(container),
    stats: (container) => of(container).stats(container),
    remove: (key, container) => of(container).remove(key, container),
    resize: (key, container, ...rest) => of(container).resize(key, container, ...rest),
    closeStdin: (key, container, execId) => of(container).closeStdin(key, container, execId),
    drain: (key, container, ...rest) => of(container).drain(key, container, ...rest),
    forgetExec: (key, container, execId) => of(container).forgetExec(key, container, execId),
  };
}
