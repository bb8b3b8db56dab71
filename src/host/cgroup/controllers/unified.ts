import { refuse } from "../../oci/check.js";
import type { Resources } from "../../oci/resources.js";
import type { CgroupWrite } from "./controller.js";

/**
 * `unified`: files of the v2 cgroup by name. Written last, so that it wins over the typed members; a value of several lines
 * is several writes, as these files take one line a write.
 */
export function unifiedWrites(resources: Resources, available: readonly string[], path: string): CgroupWrite[] {
  return [...resources.unified].flatMap(([file, value]) => {
    const at = `${path}.unified[${JSON.stringify(file)}]`;
    if (file.includes("/")) refuse(at, "is not the name of a file");
    const [controller = "", ...parameter] = file.split(".");
    if (parameter.length === 0) refuse(at, "is not of the form CONTROLLER.PARAMETER");
    if (controller !== "cgroup" && !available.includes(controller)) {
      refuse(at, `the ${controller} controller is not available`);
    }
    const lines = value.split("\n").filter((line) => line !== "");
    return (lines.length > 0 ? lines : [""]).map((line) => ({ file, value: line }));
  });
}
