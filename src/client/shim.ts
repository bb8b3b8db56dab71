import { type Connection, openConnection } from "./connection.js";
import { type Task, taskOf } from "./task.js";
import { type Vigil, vigilOf } from "./vigil.js";

/** A running shim: its socket, and what can be asked of it. */
export interface Shim {
  readonly socket: string;
  readonly task: Task;
  readonly vigil: Vigil;
  /** For further services that the shim offers. */
  readonly connection: Connection;
  close(): void;
}

/** Connects to the shim that listens on a socket; the first call dials. */
export function connectShim(socket: string): Shim {
  const connection = openConnection(socket);
  return { socket, task: taskOf(connection), vigil: vigilOf(connection), connection, close: () => connection.close() };
}
