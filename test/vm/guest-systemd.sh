# Runs in the small machine with systemd as PID 1: a few scenarios under 2.1.
set -u
status=0
export VIGIL_E2E_SMOKE=1 VIGIL_E2E_CONTAINERD=2.1 
export VIGIL_E2E_FILTER=${VIGIL_E2E_FILTER:-hello,exec: status,memory limit,oom,restart}
node_modules/.bin/vitest run --project e2e --no-color test/e2e/compare.test.ts || status=1
exit "$status"
