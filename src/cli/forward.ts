import { constants } from "node:os";

// What people and service managers send to end, reload or poke a program. SIGCHLD, SIGPIPE, SIGWINCH and faults are our own.
const forwarded = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
const patience = 3;

/**
 * Passes signals on to a container. An init without a handler ignores them (pid_namespaces(7)), so the third SIGINT or
 * SIGTERM becomes SIGKILL. Returns what ends the passing-on.
 */
export function forwardSignals(send: (signal: number) => void): () => void {
  let pleas = 0;
  const handlers = forwarded.map((name) => {
    const handler = () => {
      if (name === "SIGINT" || name === "SIGTERM") pleas++;
      send(pleas >= patience ? constants.signals.SIGKILL : constants.signals[name]);
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return () => {
    for (const stop of handlers) stop();
  };
}
