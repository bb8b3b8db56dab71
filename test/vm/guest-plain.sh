# Runs in the small machine: the comparison under both containerds, then the OOM and restart suites under 2.1.
set -u
status=0
suite() {
  local begin=$SECONDS
  node_modules/.bin/vitest run --project e2e --no-color "$@" || status=1
  echo "-- $* took $((SECONDS - begin)) s"
}
export VIGIL_E2E_SMOKE=1 VIGIL_E2E_CONTAINERD=all
suite test/e2e/compare.test.ts
[ -z "$VIGIL_E2E_FILTER" ] || exit "$status"
export VIGIL_E2E_CONTAINERD=2.1
suite test/e2e/oom.test.ts
suite test/e2e/restart.test.ts
exit "$status"
