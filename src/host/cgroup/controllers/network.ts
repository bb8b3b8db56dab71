import type { Controller } from "./controller.js";

/** v1 only; v2 marks traffic by eBPF. */
export const netCls: Controller = {
  name: "net_cls",
  member: "network",
  writes({ network }) {
    return network?.classID ? [{ file: "net_cls.classid", value: String(network.classID) }] : [];
  },
};

export const netPrio: Controller = {
  name: "net_prio",
  member: "network",
  writes({ network }) {
    return (network?.priorities ?? []).map(({ name, priority }) => ({
      file: "net_prio.ifpriomap",
      value: `${name} ${priority}`,
    }));
  },
};
