import { refuse } from "../oci/check.js";
import type { IdMapping } from "../oci/spec.js";

// user_namespaces(7): lines of a map since Linux 4.15; and 4294967295 is no id.
const maximumLines = 340;
const idsEnd = 2 ** 32 - 1;

function refuseOverlaps(mappings: readonly IdMapping[], key: "containerID" | "hostID", at: string): void {
  const sorted = mappings.map((mapping, index) => ({ first: mapping[key], size: mapping.size, index }));
  sorted.sort((a, b) => a.first - b.first);
  sorted.reduce((before, each) => {
    if (each.first < before.first + before.size) {
      refuse(`${at}[${each.index}].${key}`, `${each.first} is mapped by ${at.split(".").pop()}[${before.index}], too`);
    }
    return each;
  });
}

/** The text of a uid_map or gid_map, if the kernel would take it. */
export function idMapText(mappings: readonly IdMapping[], at: string): string {
  if (mappings.length === 0) refuse(at, "must not be empty");
  if (mappings.length > maximumLines) refuse(at, `${mappings.length} mappings are more than ${maximumLines}`);
  mappings.forEach((mapping, index) => {
    if (mapping.size === 0) refuse(`${at}[${index}].size`, "must not be 0");
    for (const key of ["containerID", "hostID"] as const) {
      if (mapping[key] + mapping.size > idsEnd) {
        refuse(`${at}[${index}].size`, `${mapping.size} from ${key} ${mapping[key]} on are more ids than there are`);
      }
    }
  });
  refuseOverlaps(mappings, "containerID", at);
  refuseOverlaps(mappings, "hostID", at);
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
}
