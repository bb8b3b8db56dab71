#!/usr/bin/env bash
# The conformance suite for the OCI runtime specification's Linux part, as root: one test for each thing that a runtime must do.
#   run.sh [--runtime PATH]... [--only TEXT] [--jobs N] [--json] [--verbose]
# --only: tests whose names contain it; several with commas.
# Without --runtime: vigil-runtime as built, and the newest packaged runc and crun; `--runtime runc` is this machine's own.
# Prints a table, test by runtime. Fails if vigil-runtime fails what another passes, or if a test that fails everywhere does not say why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "$(id -u)" = 0 ] || { echo "run.sh: real containers need root" >&2; exit 1; }
test/bed/bed.sh runtimes

# In a mount namespace of its own, so that a runtime which mounts on the host harms this run alone. crun refuses a machine whose second,
# unified hierarchy has controllers beside those of version 1; so there the suite does not see that hierarchy.
exec unshare --mount --propagation private sh -euc '
  ! grep -qs . /sys/fs/cgroup/unified/cgroup.controllers || mount -t tmpfs hidden /sys/fs/cgroup/unified
  exec node --import tsx test/conformance/main.ts "$@"' sh "$@"
