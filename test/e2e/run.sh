#!/usr/bin/env bash
# The end-to-end suites under real containerd, as root.
#   run.sh [2.1|1.7|all] [TEXT]     TEXT: only scenarios whose name contains it; several with commas (then only the comparison runs)
# VIGIL_E2E_RUNTIME=io.containerd.runc.v2 compares the stock shim with itself, which proves the harness.
# VIGIL_E2E_OCI=runc or crun gives both shims that OCI runtime (BinaryName), vigil in place of its own; with vigil-runtime the
# stock shim drives that, and is compared with the stock shim and runc.
# VIGIL_E2E_FILES names the test files, by default all of test/e2e and test/cri.
set -euo pipefail
self=$(realpath "${BASH_SOURCE[0]}")
cd "${self%/*}/../.."
[ "$(id -u)" = 0 ] || { echo "run.sh: real containers need root" >&2; exit 1; }
export VIGIL_E2E_CONTAINERD=${1:-all} VIGIL_E2E_FILTER=${2:-}
files=${VIGIL_E2E_FILES:-}
if [ "${VIGIL_E2E_OCI:-}" = vigil-runtime ]; then
  export VIGIL_E2E_RUNTIME=io.containerd.runc.v2
  files=test/e2e/compare.test.ts
fi
[ -z "$VIGIL_E2E_FILTER" ] || files=test/e2e/compare.test.ts
# crun (1.8) runs no container where both versions of cgroups are mounted: then everybody sees version 1 alone, and in place of
# the other a directory that takes what crun makes there all the same.
if [ "${VIGIL_E2E_OCI:-}" = crun ] && [ "$(stat -f -c %T /sys/fs/cgroup/unified 2>/dev/null)" = cgroup2fs ]; then
  exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified && mount -t tmpfs none /sys/fs/cgroup/unified && exec "$@"' sh "$self" "$@"
fi
test/bed/bed.sh setup
report=$(mktemp)
export VIGIL_E2E_REPORT=$report
trap 'rm -f "$report"' EXIT
status=0
# shellcheck disable=SC2086
node_modules/.bin/vitest run --project e2e --reporter=default --no-color $files || status=$?
if [ -s "$report" ]; then node --import tsx test/e2e/print-table.ts "$report"; fi
exit "$status"
