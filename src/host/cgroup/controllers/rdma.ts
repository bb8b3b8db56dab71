import type { Controller } from "./controller.js";

export const rdma: Controller = {
  name: "rdma",
  member: "rdma",
  writes({ rdma }) {
    return [...rdma].flatMap(([device, { hcaHandles, hcaObjects }]) => {
      const limits = [
        ...(hcaHandles === undefined ? [] : [`hca_handle=${hcaHandles}`]),
        ...(hcaObjects === undefined ? [] : [`hca_object=${hcaObjects}`]),
      ];
      return limits.length === 0 ? [] : [{ file: "rdma.max", value: [device, ...limits].join(" ") }];
    });
  },
};
