import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** What runs it has nothing of our environment, so that it is looked for here; a name that is nowhere stays a name. */
export function findProgram(name: string): string {
  if (name.includes("/")) return name;
  const isProgram = (path: string): boolean => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false; // not there, or not for us: the next one may be
    }
  };
  const directories = (process.env.PATH ?? "").split(delimiter).filter(Boolean);
  return directories.map((directory) => join(directory, name)).find(isProgram) ?? name;
}
