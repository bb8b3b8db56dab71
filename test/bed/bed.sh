#!/usr/bin/env bash
# The test bed: real containerd of two versions, runc, a busybox tree, and a small machine with a pure cgroup v2 hierarchy.
#   bed.sh setup                    packages, containerd 1.7 and 2.1, the busybox tree; a minute at first, then nothing
#   bed.sh runtimes                 runc and crun, this release's and the newest
#   bed.sh criu                     a CRIU that knows new kernels
#   bed.sh up VERSION               starts that containerd and prints its socket
#   bed.sh down [VERSION]
#   bed.sh vm-setup                 kernel, emulator and system tree of the small machine; a few minutes at first
#   bed.sh vm SCRIPT [systemd]      boots it, runs SCRIPT as root in a copy of this project, streams the console;
#                                   its exit status is SCRIPT's
# Everything heavy is in .cache at the top of the project (or VIGIL_CACHE) and is made again when absent.
set -euo pipefail
BED=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$BED/../.." && pwd)
CACHE=${VIGIL_CACHE:-$TOP/.cache}
mkdir -p "$CACHE"
say() { echo "bed: $*" >&2; }
. "$BED/apt.sh"
. "$BED/vm.sh"

# Which suite carries which containerd. Both are plain Go programs and run on Debian 12 as they are.
declare -A SUITE_OF=([2.1]=sid [1.7]=trixie)

containerd_setup() {
  local version=$1 dir=$CACHE/containerd-$1 found
  [ -x "$dir/bin/containerd" ] && return 0
  rm -rf "$dir"
  unpack_deb "${SUITE_OF[$version]}" containerd "$dir/unpacked"
  mkdir -p "$dir/bin"
  mv "$dir"/unpacked/usr/bin/{ctr,containerd-shim-runc-v2,containerd} "$dir/bin/"
  rm -rf "$dir/unpacked"
  found=$("$dir/bin/containerd" --version | awk '{print $3}')
  case $found in "$version"*) ;; *) say "warning: ${SUITE_OF[$version]} carries containerd $found now, not $version" ;; esac
  say "containerd $found"
}

# The container's root: busybox and nothing else, with an entry for each of its programs.
rootfs_setup() {
  local dir=$CACHE/rootfs name
  [ -e "$dir/.complete" ] && return 0
  rm -rf "$dir"
  mkdir -p "$dir"/{bin,sbin,usr/bin,usr/sbin,proc,sys,dev,tmp,etc,root,run,var}
  chmod 1777 "$dir/tmp"
  cp /bin/busybox "$dir/bin/busybox"
  for name in $(/bin/busybox --list); do [ -e "$dir/bin/$name" ] || ln -s busybox "$dir/bin/$name"; done
  printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/bin/sh\nguest:x:1000:1000:guest:/tmp:/bin/sh\n' > "$dir/etc/passwd"
  printf 'root:x:0:\ndaemon:x:1:\nguest:x:1000:\nextra:x:2000:guest\n' > "$dir/etc/group"
  touch "$dir/.complete"
}

# The newest releases of the other OCI runtimes, with the libraries of their suite: what Debian 12 carries knows less of the specification.
runtimes() {
  local dir lib name
  # The programs name their libraries by absolute paths, which must hold for whoever shares the cache; after a move they run no more.
  dir=$(readlink -f "$CACHE")/runtimes
  machine_packages runc crun busybox-static patchelf
  { "$dir/runc" --version && "$dir/crun" --version; } >/dev/null 2>&1 && return 0
  rm -rf "$dir"
  for name in runc crun libc6 libseccomp2 libcap2 libsystemd0 libjson-c5 libblake3-0; do unpack_deb sid "$name" "$dir/unpacked"; done
  lib=$(dirname "$(find "$dir/unpacked" -name libseccomp.so.2)")
  cp "$dir/unpacked/usr/sbin/runc" "$dir/unpacked/usr/bin/crun" "$dir/unpacked/"
  for name in runc crun; do
    patchelf --set-interpreter "$lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$lib" "$dir/unpacked/$name"
    mv "$dir/unpacked/$name" "$dir/$name"
    say "$("$dir/$name" --version | head -n 1)"
  done
}

# Debian 12's CRIU (3.17) does not know the vDSO of new kernels: "Unexpected rt vDSO area bounds".
criu_setup() {
  local dir=$CACHE/criu lib
  [ -x "$dir/criu" ] && return 0
  machine_packages mmdebstrap patchelf iptables
  rm -rf "$dir"
  mkdir -p "$dir"
  say "unpacking CRIU with its libraries"
  trixie_tree "$dir/unpacked" extract criu
  lib=$(dirname "$(find "$dir/unpacked" -name libprotobuf-c.so.1)")
  cp "$dir/unpacked/usr/sbin/criu" "$dir/criu.new"
  patchelf --set-interpreter "$lib/ld-linux-x86-64.so.2" --force-rpath --set-rpath "$lib" "$dir/criu.new"
  mv "$dir/criu.new" "$dir/criu"
  say "$("$dir/criu" --version | head -n 1)"
}

setup() {
  machine_packages runc crun busybox-static xz-utils util-linux bsdutils procps podman conmon
  for version in 1.7 2.1; do containerd_setup "$version"; done
  rootfs_setup
  criu_setup
  say "ready: $CACHE"
}

# The file's version number differs, and with it the names of the CRI plugins; naming an unknown plugin is allowed.
containerd_config() {
  local version=$1 base=$2 schema=2
  [ "$version" = 1.7 ] || schema=3
  cat <<CONFIG
version = $schema
root = "$base/root"
state = "$base/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
  address = "$base/c.sock"
CONFIG
}

# Unix socket paths end at 107 bytes, hence a short directory and not the cache.
base_of() { echo "/tmp/vigil-bed-$1"; }

up() {
  local version=${1:?version} base pid
  base=$(base_of "$version")
  setup
  if [ -s "$base/pid" ] && kill -0 "$(cat "$base/pid")" 2>/dev/null; then echo "$base/c.sock"; return 0; fi
  mkdir -p "$base"
  containerd_config "$version" "$base" > "$base/config.toml"
  PATH=$TOP/build/bin:$CACHE/containerd-$version/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setsid nohup "$CACHE/containerd-$version/bin/containerd" -c "$base/config.toml" > "$base/log" 2>&1 < /dev/null &
  pid=$!
  echo "$pid" > "$base/pid"
  for _ in $(seq 200); do
    if [ -S "$base/c.sock" ] && "$CACHE/containerd-$version/bin/ctr" -a "$base/c.sock" version >/dev/null 2>&1; then
      say "containerd $version is up, log in $base/log; try: $CACHE/containerd-$version/bin/ctr -a $base/c.sock version"
      echo "$base/c.sock"
      return 0
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  say "containerd $version did not come up:"; tail -20 "$base/log" >&2
  return 1
}

down() {
  local version base
  for version in "${@:-1.7 2.1}"; do
    for version in $version; do
      base=$(base_of "$version")
      [ -s "$base/pid" ] || continue
      kill "$(cat "$base/pid")" 2>/dev/null || true
      tail --pid="$(cat "$base/pid")" -f /dev/null
      rm -rf "$base"
      say "containerd $version is down"
    done
  done
}

command=${1:-help}; shift || true
case $command in
  setup) setup ;;
  runtimes) runtimes ;;
  criu) criu_setup ;;
  config) containerd_config "$@" ;;
  up) up "$@" ;;
  down) down "$@" ;;
  vm-setup) vm_setup ;;
  vm) vm "$@" ;;
  *) sed -n '2,11s/^# \{0,1\}//p' "$BED/bed.sh"; [ "$command" = help ] || exit 2 ;;
esac
