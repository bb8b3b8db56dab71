// Every test, in the order of the table.
import { capabilityTests } from "./capabilities.js";
import { deviceTests } from "./devices.js";
import type { Test } from "./harness/test.js";
import { lifecycleTests } from "./lifecycle.js";
import { maskedTests } from "./masked.js";
import { mountTests, rootTests } from "./mounts.js";
import { namespaceTests } from "./namespaces.js";
import { processTests } from "./process.js";
import { stateTests } from "./state.js";

export const allTests: readonly Test[] = [
  ...lifecycleTests,
  ...stateTests,
  ...rootTests,
  ...mountTests,
  ...processTests,
  ...capabilityTests,
  ...namespaceTests,
  ...deviceTests,
  ...maskedTests,
];
