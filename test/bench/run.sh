#!/usr/bin/env bash
# Measures vigil beside the stock shim with runc, in turns, under containerd 2.1; root.
#   run.sh [--json] [--runs N] [--only wall,start,oom,memory]
# Prints a markdown table: medians, the ninth decile in parentheses, and the ratio of the medians.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ "$(id -u)" = 0 ] || { echo "run.sh: real containers need root" >&2; exit 1; }
test/bed/bed.sh setup
# A copy of Node runs the measurement, or it would share its pages with the daemons and make them look smaller.
own=$(mktemp -d)
trap 'rm -rf "$own"' EXIT
cp "$(command -v node)" "$own/node"
"$own/node" --import tsx test/bench/main.ts "$@"
