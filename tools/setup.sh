#!/bin/sh
# Installs what building and testing need and this machine lacks.
set -eu
cd "$(dirname "$0")/.."

# Node is the one thing that must be there already: which build of it to use is the user's choice.
if ! command -v node >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
        echo "setup: node 20 or newer is needed and was not found" >&2
        exit 1
fi

missing=""
for package in gcc libc6-dev make libseccomp2 busybox-static uidmap; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
        if [ "$(id -u)" -ne 0 ]; then
                echo "setup: missing packages:$missing (install them as root)" >&2
                exit 1
        fi
        echo "setup: installing$missing"
        apt-get update -qq
        # $missing is a list of words.
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# A copy of the lock file says what node_modules was made from.
if ! cmp -s package-lock.json node_modules/.vigil-lock; then
        echo "setup: installing npm packages"
        # Not `npm ci`: it refuses a lock file without the optional packages of platforms that vigil does not run on. This keeps
        # to the locked versions and checksums as well, and does not write the lock file.
        npm install --no-save --no-audit --no-fund
        cp package-lock.json node_modules/.vigil-lock
fi
echo "setup: everything is there"
