import { program } from "./program.js";

/** Loads and compiles what the verbs run, for V8's code cache; touches nothing. */
export async function warmUp(): Promise<void> {
  program().helpInformation();
  await Promise.all([
    import("./doctor.js"),
    import("./events.js"),
    import("./exec.js"),
    import("./kill.js"),
    import("./logs.js"),
    import("./oom.js"),
    import("./ps.js"),
    import("./rm.js"),
    import("./run.js"),
    import("./stats.js"),
    import("./wait.js"),
  ]);
}
