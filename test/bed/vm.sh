# The small machine: Debian trixie's kernel (memory control only in cgroup v2) under software emulation.
# Sourced by bed.sh; needs CACHE, TOP, BED, say() and apt.sh.
#
# bookworm's emulator (7.2) breaks Node under "-cpu max", so trixie's (10.0) is unpacked beside the system and run
# through its own dynamic loader; /dev/kvm is not used, a nested guest may hang under it.

VM_PACKAGES=runc,crun,systemd-sysv,dbus,dbus-user-session,iproute2,procps,kmod,strace,util-linux,bsdutils,libseccomp2,libstdc++6,busybox-static,tar
VM_MEMORY=${VIGIL_VM_MEMORY:-3072}

# trixie_tree DIR VARIANT PACKAGES: "extract" unpacks with dependencies and runs no maintainer script.
trixie_tree() {
  local dir=$1 variant=$2 packages=$3 source log=$CACHE/$(basename "$1").log
  source=$(apt_source trixie)
  rm -rf "$dir"
  # apt's own sandbox user cannot reach a cache below /root.
  mmdebstrap --quiet --variant="$variant" --mode=root --include="$packages" --aptopt='APT::Sandbox::User "root"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    trixie "$dir" "$source" > "$log" 2>&1 || { tail -20 "$log" >&2; return 1; }
}

emulator_setup() {
  [ -x "$CACHE/vm/emulator/usr/bin/qemu-system-x86_64" ] && return 0
  say "unpacking the emulator (trixie's QEMU with its libraries)"
  mkdir -p "$CACHE/vm"
  trixie_tree "$CACHE/vm/emulator" extract qemu-system-x86,seabios
}

kernel_setup() {
  local dir=$CACHE/vm/kernel package
  [ -s "$dir/vmlinuz" ] && return 0
  suite_update trixie
  package=$(suite_apt trixie apt-cache depends linux-image-cloud-amd64 | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
  unpack_deb trixie "$package" "$dir/unpacked"
  cp "$dir"/unpacked/boot/vmlinuz-* "$dir/vmlinuz"
}

# A megabyte: busybox and the modules that the root file system needs.
initrd_setup() {
  local dir=$CACHE/vm/initrd name file
  mkdir -p "$dir"/{bin,proc,sys,dev,newroot,modules}
  cp /bin/busybox "$dir/bin/"
  for name in virtio_blk overlay; do
    file=$(find "$CACHE/vm/kernel/unpacked" -name "$name.ko*" | head -1)
    case $file in *.xz) xz -dc "$file" > "$dir/modules/$name.ko" ;; *) cp "$file" "$dir/modules/$name.ko" ;; esac
  done
  cp "$BED/guest/initrd-init" "$dir/init"
  (cd "$dir" && find . | busybox cpio -o -H newc 2>/dev/null | gzip > "$CACHE/vm/initrd.gz")
}

# The root image is made again when its recipe changes.
root_setup() {
  local dir=$CACHE/vm/root recipe version
  recipe=$(cat "$BED/vm.sh" "$BED"/guest/* | sha256sum)
  [ "$(cat "$CACHE/vm/recipe" 2>/dev/null)" = "$recipe" ] && return 0
  if [ "$(cat "$CACHE/vm/packages" 2>/dev/null)" != "$VM_PACKAGES" ]; then
    say "installing the system tree of the machine"
    trixie_tree "$dir" minbase "$VM_PACKAGES"
    rm -rf "$dir"/var/lib/apt/lists/* "$dir"/var/cache/apt/*
    echo "$VM_PACKAGES" > "$CACHE/vm/packages"
  fi
  initrd_setup
  mkdir -p "$dir"/{project,etc/systemd/system/multi-user.target.wants} "$dir/usr/lib/modules"
  rm -rf "$dir"/usr/lib/modules/*
  cp -r "$CACHE"/vm/kernel/unpacked/usr/lib/modules/* "$dir/usr/lib/modules/" 2>/dev/null || cp -r "$CACHE"/vm/kernel/unpacked/lib/modules/* "$dir/usr/lib/modules/"
  chroot "$dir" depmod "$(basename "$dir"/usr/lib/modules/*)"
  install -m 755 "$BED/guest/plain-init" "$BED/guest/run-script" "$dir/usr/local/sbin/"
  install -m 644 "$BED/guest/bed.service" "$dir/etc/systemd/system/"
  ln -sf ../bed.service "$dir/etc/systemd/system/multi-user.target.wants/bed.service"
  for name in apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer; do
    ln -sf /dev/null "$dir/etc/systemd/system/$name"
  done
  echo vigil-vm > "$dir/etc/hostname"
  rm -f "$CACHE/vm/root.img"
  truncate -s 3G "$CACHE/vm/root.img"
  mke2fs -q -t ext4 -d "$dir" -F "$CACHE/vm/root.img"
  echo "$recipe" > "$CACHE/vm/recipe"
  say "root image: $(du -h "$CACHE/vm/root.img" | cut -f1)"
}

vm_setup() {
  setup
  machine_packages mmdebstrap busybox-static e2fsprogs
  emulator_setup
  kernel_setup
  root_setup
}

# project_disk SCRIPT IMAGE: a second disk with the script, this project, Node and the bed's containerds.
project_disk() {
  local script=$1 image=$2 stage=$2.d size
  rm -rf "$stage"
  mkdir -p "$stage/.cache"
  cp "$script" "$stage/.script"
  cp "$(command -v node)" "$stage/.node"
  env | grep '^VIGIL_' | grep -v '^VIGIL_CACHE=' | sed "s/'/'\\\\''/g; s/^\([A-Z0-9_]*\)=\(.*\)/export \1='\2'/" > "$stage/.environment" || true
  (cd "$TOP" && tar -cf - --exclude=./.git --exclude=./.cache --exclude=./build/obj --exclude=./build/asan --exclude=./build/fuzz \
    --exclude=./node_modules/.cache --exclude=./node_modules/@biomejs --exclude='./node_modules/@bufbuild/buf*' \
    --exclude='./node_modules/@typescript' --exclude=./node_modules/dprint-node .) | tar -xf - -C "$stage"
  cp -r "$CACHE/rootfs" "$CACHE/containerd-1.7" "$CACHE/containerd-2.1" "$stage/.cache/"
  [ ! -e "$CACHE/runtimes/crun" ] || cp -r "$CACHE/runtimes" "$stage/.cache/"
  size=$(($(du -sm "$stage" | cut -f1) * 5 / 4 + 512))
  rm -f "$image"
  truncate -s "${size}M" "$image"
  mke2fs -q -t ext4 -d "$stage" -F "$image"
  rm -rf "$stage"
}

vm() {
  local script=${1:?script} mode=${2:-plain} init="" tree=$CACHE/vm/emulator work status
  [ "$mode" = plain ] || [ "$mode" = systemd ] || { echo "bed: mode is plain or systemd, not $mode" >&2; return 2; }
  vm_setup
  work=$(mktemp -d "$CACHE/vm/run.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  project_disk "$script" "$work/project.img"
  [ "$mode" = systemd ] && init="vigil.init=/sbin/init systemd.show_status=0"
  say "booting ($mode)"
  # Root is never written to (snapshot=on), so a crashed guest leaves nothing behind.
  TMPDIR=$work QEMU_MODULE_DIR=$tree/usr/lib/x86_64-linux-gnu/qemu timeout "${VIGIL_VM_TIMEOUT:-2400}" \
    "$tree/usr/lib64/ld-linux-x86-64.so.2" --library-path "$tree/usr/lib/x86_64-linux-gnu" \
    "$tree/usr/bin/qemu-system-x86_64" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" \
    -accel tcg,thread=multi -smp 2 -cpu max -m "$VM_MEMORY" -nographic -no-reboot -nic none \
    -kernel "$CACHE/vm/kernel/vmlinuz" -initrd "$CACHE/vm/initrd.gz" \
    -drive "file=$CACHE/vm/root.img,format=raw,if=virtio,snapshot=on" \
    -drive "file=$work/project.img,format=raw,if=virtio,cache=unsafe" \
    -append "console=ttyS0 quiet panic=-1 $init" < /dev/null |
    sed -u 's/\x1b\[[0-9;?]*[a-zA-Z]//g; s/\x1bc//g; s/\r//g' | tee "$work/console" | grep --line-buffered -v -e '^vigil-vm-exit ' -e '^SeaBIOS ' -e '^Booting from ROM' || true
  status=$(sed -n 's/^vigil-vm-exit \([0-9]*\)$/\1/p' "$work/console" | tail -1)
  [ -n "$status" ] || { say "the machine ended without a status (crash, or longer than ${VIGIL_VM_TIMEOUT:-2400} s)"; return 125; }
  say "the machine is off, status $status"
  return "$status"
}
