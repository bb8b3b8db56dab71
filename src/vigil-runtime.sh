#!/bin/sh
# Runs vigil's OCI runtime from the installation that this file belongs to, also through a symbolic link.
self=$(readlink -f -- "$0")
exec "${VIGIL_NODE:-node}" "${self%/*}/../lib/vigil/boot.cjs" runtime "$@"
