#!/usr/bin/env bash
# Unpacks the Debian packages which publish the .proto files that vigil must agree with.
#   fetch-protos.sh SUITE/PACKAGE...     prints a line for each: SUITE/PACKAGE VERSION FOLDER
# What was downloaded stays in .cache at the top of the project (or VIGIL_CACHE) and is used again.
set -euo pipefail
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${VIGIL_CACHE:-$TOP/.cache}
mkdir -p "$CACHE"
say() { echo "fetch-protos: $*" >&2; }
. "$TOP/test/bed/apt.sh"

for wanted in "$@"; do
  suite=${wanted%%/*} package=${wanted#*/}
  dir=$CACHE/protos/$wanted
  if [ ! -e "$dir/.version" ]; then
    rm -rf "$dir"
    unpack_deb "$suite" "$package" "$dir"
    deb=$(find "$CACHE/debs/$suite" -name "${package}_*.deb" | sort -V | tail -1)
    dpkg-deb --field "$deb" Version > "$dir/.version"
  fi
  echo "$wanted $(cat "$dir/.version") $dir"
done
