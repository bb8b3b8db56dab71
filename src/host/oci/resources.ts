import { flag, int64, integer, list, map, maybe, object, oneOf, otherwise, text, uint32, uint64 } from "./check.js";

const uint16 = integer(0, 2 ** 16 - 1);

const weightDevice = object({
  major: int64,
  minor: int64,
  weight: maybe(uint16),
  leafWeight: maybe(uint16),
});

const throttle = otherwise(list(object({ major: int64, minor: int64, rate: uint64 })), []);

export const checkDeviceRule = object({
  allow: otherwise(flag, false),
  type: maybe(oneOf(["a", "b", "c", "p", "u", ""])),
  major: maybe(int64),
  minor: maybe(int64),
  access: otherwise(text, ""),
});

/** `linux.resources` of the OCI runtime specification (config-linux.md, "Control groups"), also the body of an update. */
export const checkResources = object({
  devices: otherwise(list(checkDeviceRule), []),
  memory: maybe(
    object({
      limit: maybe(int64),
      reservation: maybe(int64),
      swap: maybe(int64),
      kernel: maybe(int64),
      kernelTCP: maybe(int64),
      swappiness: maybe(int64),
      disableOOMKiller: otherwise(flag, false),
      checkBeforeUpdate: otherwise(flag, false),
    }),
  ),
  cpu: maybe(
    object({
      shares: maybe(uint64),
      quota: maybe(int64),
      burst: maybe(uint64),
      period: maybe(uint64),
      realtimeRuntime: maybe(int64),
      realtimePeriod: maybe(uint64),
      cpus: otherwise(text, ""),
      mems: otherwise(text, ""),
      idle: maybe(int64),
    }),
  ),
  pids: maybe(object({ limit: maybe(int64) })),
  blockIO: maybe(
    object({
      weight: maybe(uint16),
      leafWeight: maybe(uint16),
      weightDevice: otherwise(list(weightDevice), []),
      throttleReadBpsDevice: throttle,
      throttleWriteBpsDevice: throttle,
      throttleReadIOPSDevice: throttle,
      throttleWriteIOPSDevice: throttle,
    }),
  ),
  hugepageLimits: otherwise(list(object({ pageSize: text, limit: uint64 })), []),
  network: maybe(
    object({
      classID: maybe(uint32),
      priorities: otherwise(list(object({ name: text, priority: uint32 })), []),
    }),
  ),
  rdma: otherwise(map(object({ hcaHandles: maybe(uint32), hcaObjects: maybe(uint32) })), new Map()),
  unified: otherwise(map(text), new Map()),
});

export type Resources = ReturnType<typeof checkResources>;
export type DeviceRule = ReturnType<typeof checkDeviceRule>;
