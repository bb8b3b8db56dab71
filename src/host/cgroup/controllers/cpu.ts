import type { Resources } from "../../oci/resources.js";
import type { CgroupWrite, Controller, ControllerView } from "./controller.js";

type Cpu = NonNullable<Resources["cpu"]>;

const minimumShares = 2;
const maximumShares = 262_144;
const maximumWeight = 10_000;

/**
 * cpu.shares (v1) as cpu.weight (v2): a curve through the least, the default (1024 is 100) and the greatest of both, as runc
 * since 1.3.2 and crun since 1.23 use it. The order of the terms matters: the exponent of 1024 must be exactly 2.
 */
export function weightFromShares(shares: bigint): number {
  if (shares === 0n) return 0;
  const given = Number(shares);
  if (given <= minimumShares) return 1;
  if (given >= maximumShares) return maximumWeight;
  const l = Math.log2(given);
  return Math.ceil(10 ** ((l * l + 125 * l) / 612 - 7 / 34));
}

// A period or burst that does not fit the old quota is refused (EINVAL), and the other way round: try it, set the quota, set it.
function around(early: CgroupWrite[], quota: CgroupWrite[]): CgroupWrite[] {
  if (early.length === 0 || quota.length === 0) return [...early, ...quota];
  return [...early.map((write) => ({ ...write, optional: true as const })), ...quota, ...early];
}

function write(file: string, value: bigint | undefined): CgroupWrite[] {
  return value === undefined ? [] : [{ file, value: String(value) }];
}

/** 0 in these means "not given": the specification's writers leave it out, Go's old ones did not. */
const given = (value: bigint | undefined): bigint | undefined => (value === 0n ? undefined : value);

function writesV1(cpu: Cpu): CgroupWrite[] {
  return [
    ...write("cpu.shares", given(cpu.shares)),
    ...around(
      [...write("cpu.cfs_period_us", given(cpu.period)), ...write("cpu.cfs_burst_us", cpu.burst)],
      write("cpu.cfs_quota_us", given(cpu.quota)),
    ),
    ...around(
      write("cpu.rt_period_us", given(cpu.realtimePeriod)),
      write("cpu.rt_runtime_us", given(cpu.realtimeRuntime)),
    ),
    ...write("cpu.idle", cpu.idle),
  ];
}

function bandwidth(cpu: Cpu, view: ControllerView): CgroupWrite[] {
  const quota = given(cpu.quota);
  const period = given(cpu.period);
  if (quota === undefined && period === undefined) return [];
  // Half of the pair keeps the other half: the file takes a quota alone, but no period alone.
  const limit =
    quota === undefined ? (view.read("cpu.max")?.split(" ")[0] ?? "max") : quota < 0n ? "max" : String(quota);
  return [{ file: "cpu.max", value: period === undefined ? limit : `${limit} ${period}` }];
}

function writesV2(cpu: Cpu, view: ControllerView, path: string): CgroupWrite[] {
  for (const key of ["realtimeRuntime", "realtimePeriod"] as const) {
    if (given(cpu[key]) !== undefined) view.warn(`${path}.${key}: has no effect on cgroup v2`);
  }
  const weight = weightFromShares(cpu.shares ?? 0n);
  return [
    ...write("cpu.idle", cpu.idle),
    // An idle cgroup has no weight; writing one is EINVAL (kernel/sched/fair.c, sched_group_set_shares).
    ...(weight > 0 && cpu.idle !== 1n ? [{ file: "cpu.weight", value: String(weight) }] : []),
    ...around(write("cpu.max.burst", cpu.burst), bandwidth(cpu, view)),
  ];
}

export const cpu: Controller = {
  name: "cpu",
  member: "cpu",
  writes(resources, view) {
    if (!resources.cpu) return [];
    return view.version === 1 ? writesV1(resources.cpu) : writesV2(resources.cpu, view, `${view.path}.cpu`);
  },
};
