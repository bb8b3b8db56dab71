import { refuse } from "../../oci/check.js";
import type { Controller } from "./controller.js";

export const hugetlb: Controller = {
  name: "hugetlb",
  member: "hugepageLimits",
  writes({ hugepageLimits }, view) {
    const suffix = view.version === 1 ? "limit_in_bytes" : "max";
    return hugepageLimits.flatMap(({ pageSize, limit }, index) => {
      if (!/^[0-9]+[KMG]B$/.test(pageSize)) {
        refuse(`${view.path}.hugepageLimits[${index}].pageSize`, `${JSON.stringify(pageSize)} is not like "2MB"`);
      }
      const value = String(limit);
      return [
        { file: `hugetlb.${pageSize}.${suffix}`, value },
        // Reservations are counted apart since Linux 5.7.
        { file: `hugetlb.${pageSize}.rsvd.${suffix}`, value, optional: true },
      ];
    });
  },
};
