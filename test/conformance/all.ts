// Every test, in the order of the table.
import { capabilityTests } from "./capabilities.js";
import { cgroupTests } from "./cgroups.js";
import { configTests, featureTests } from "./config.js";
import { deviceTests } from "./devices.js";
import { execTests } from "./exec.js";
import type { Test } from "./harness/test.js";
import { hookTests } from "./hooks.js";
import { lifecycleTests } from "./lifecycle.js";
import { maskedTests } from "./masked.js";
import { mountTests, rootTests } from "./mounts.js";
import { namespaceTests } from "./namespaces.js";
import { processTests } from "./process.js";
import { seccompTests } from "./seccomp.js";
import { securityTests } from "./security.js";
import { stateTests } from "./state.js";
import { terminalTests } from "./terminal.js";
import { userNamespaceTests } from "./user-namespace.js";

export const allTests: readonly Test[] = [
  ...lifecycleTests,
  ...stateTests,
  ...execTests,
  ...configTests,
  ...featureTests,
  ...rootTests,
  ...mountTests,
  ...processTests,
  ...capabilityTests,
  ...terminalTests,
  ...hookTests,
  ...namespaceTests,
  ...userNamespaceTests,
  ...deviceTests,
  ...cgroupTests,
  ...seccompTests,
  ...maskedTests,
  ...securityTests,
];
