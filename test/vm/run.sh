#!/usr/bin/env bash
# The end-to-end suites in a small machine with a pure cgroup v2 hierarchy, as root: once with a shell as PID 1, once with systemd.
#   run.sh [plain|systemd|all] [TEXT]     TEXT: only scenarios whose name contains it; several with commas
#   run.sh conformance [TEXT]             the conformance suite instead: hours without a TEXT
# The machine is emulated and some fifteen times slower, so the scenarios are the marked ones, and repetitions are fewer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
mode=${1:-all}
[ "$(id -u)" = 0 ] || { echo "run.sh: making the machine's disk needs root" >&2; exit 1; }
export VIGIL_E2E_FILTER=${2:-} VIGIL_SLOWNESS=${VIGIL_SLOWNESS:-10}
export VIGIL_OOM_RUNS=${VIGIL_OOM_RUNS:-50} VIGIL_OOM_VARIANT_RUNS=${VIGIL_OOM_VARIANT_RUNS:-2} VIGIL_RESTART_RUNS=${VIGIL_RESTART_RUNS:-6}

status=0
boot() {
  local begin=$SECONDS result=0
  echo "== virtual machine: $1"
  test/bed/bed.sh vm "test/vm/guest-$1.sh" "${2:-$1}" || result=$?
  echo "== virtual machine: $1: status $result after $((SECONDS - begin)) s"
  [ "$result" = 0 ] || status=1
}

case $mode in
  plain | systemd) boot "$mode" ;;
  all) boot plain; boot systemd ;;
  conformance)
    test/bed/bed.sh runtimes
    export VIGIL_HOST_CACHE=${VIGIL_CACHE:-$PWD/.cache}
    VIGIL_VM_TIMEOUT=${VIGIL_VM_TIMEOUT:-21600} boot conformance plain
    ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
exit "$status"
