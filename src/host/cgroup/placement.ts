import type { CgroupHost, Hierarchy } from "./detect.js";

/** A container's cgroup in one hierarchy. */
export interface Place {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /** Absolute. */
  readonly directory: string;
  readonly controllers: readonly string[];
  readonly options: string;
}

/** All cgroups of a container. */
export interface Placement {
  readonly mode: CgroupHost["mode"];
  /** Below every mount point. */
  readonly path: string;
  readonly places: readonly Place[];
}

export function placementOf(host: CgroupHost, path: string): Placement {
  const placeIn = ({ version, mountPoint, controllers, options }: Hierarchy): Place => ({
    version,
    mountPoint,
    directory: mountPoint + path,
    controllers,
    options,
  });
  return { mode: host.mode, path, places: host.hierarchies.map(placeIn) };
}

/** On v2 the block controller is called io; both kernels' names find it. */
const otherNames: Readonly<Record<string, string>> = { blkio: "io" };

export function placeOf(placement: Placement, controller: string): Place | undefined {
  const other = otherNames[controller];
  return placement.places.find(
    (place) => place.controllers.includes(controller) || (other !== undefined && place.controllers.includes(other)),
  );
}

// Every process of a container is in each of its v1 cgroups unless it moved itself, which needs privilege that the device
// and freezer hierarchies give no reason to use.
const countedBy = ["devices", "freezer", "pids", "memory"] as const;

/** The cgroup whose members are the container's processes. */
export function processPlace(placement: Placement): Place | undefined {
  const unified = placement.mode === "v2" ? placement.places[0] : undefined;
  for (const controller of countedBy) {
    const place = unified ?? placeOf(placement, controller);
    if (place) return place;
  }
  return placement.places[0];
}

export function freezerPlace(placement: Placement): Place | undefined {
  return placement.places.find((place) => place.version === 2 || place.controllers.includes("freezer"));
}

/** One line a place, for the runtime's handle: mounts may be added later, and the container is in none of those. */
export function encodePlaces(placement: Placement): string[] {
  return placement.places.map(
    ({ version, options, controllers, mountPoint }) =>
      `${version} ${version === 2 ? controllers.join(",") : options} ${mountPoint}`,
  );
}

export function decodePlacement(mode: CgroupHost["mode"], path: string, lines: readonly string[]): Placement {
  const hierarchies = lines.map((line): Hierarchy => {
    const [version = "", words = "", ...mountPoint] = line.split(" ");
    const controllers = words.split(",").filter((word) => word !== "" && !word.startsWith("name="));
    const legacy = version === "1";
    return { version: legacy ? 1 : 2, mountPoint: mountPoint.join(" "), controllers, options: legacy ? words : "" };
  });
  return placementOf({ mode, hierarchies }, path);
}
