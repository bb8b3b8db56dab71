/** vigil/client: start shims, run containers, follow their events and read why they ran out of memory. */
export { type ErrorCode, VigilError } from "../base/errors.js";
export type { Container, Event, InfoResponse, OomReport } from "../gen/vigil/v1/vigil.js";
export { layRootfs, makeBundle, removeBundle, writeConfig } from "./bundle.js";
export { type CallOptions, type Connection, openConnection, type Rpc, requestIdHeader } from "./connection.js";
export { createContainer, deleteContainer, type NewContainer, stdioPath } from "./container.js";
export { checkIdentifier, inventId } from "./names.js";
export { bundlePath, findRootfs, findShim, logPath, ownNamespace, type Places, places } from "./places.js";
export { listShims, type ShimRecord } from "./records.js";
export { connectShim, type Shim } from "./shim.js";
export { deleteAfterShim, type ShimCommand, startShim } from "./spawn.js";
export { type ContainerChoices, containerSpec, type ProcessSpec, processSpec, type ResourceLimits } from "./spec.js";
export { openStdio, type Stdio, type StdioChoices, type StdioSpec } from "./stdio.js";
export type { Task } from "./task.js";
export type { EventFilter, Vigil } from "./vigil.js";
export { watchShims } from "./watch-shims.js";
