#!/usr/bin/env bash
# Boots systemd in namespaces of its own, with nothing but turnstone's unit.
#
#   boot.sh enter CGROUP DIRECTORY    joins the cgroup, makes the namespaces
#   boot.sh start DIRECTORY           builds the machine there and becomes its init
#
# DIRECTORY holds `units` (the unit and what it stands on), `turnstone` (the
# program), `turnstone.toml` and `sysusers.conf`. The root is the machine's own,
# with a memory file system on top; all that is written goes when init ends.
set -euo pipefail

enter() {
  local cgroup=$1 directory=$2
  # Before the cgroup namespace is made, so that this cgroup is its root.
  echo $$ >"$cgroup/cgroup.procs"
  # A killed test takes unshare with it, and unshare takes the machine's init.
  exec setpriv --pdeathsig KILL \
    unshare --mount --pid --fork --kill-child --uts --ipc --net --cgroup \
    --propagation private "$0" start "$directory"
}

start() {
  local directory=$1 layers=$1/layers root=$1/layers/root
  mkdir "$layers"
  mount -t tmpfs tmpfs "$layers"
  mkdir "$layers/upper" "$layers/work" "$root"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" "$root"

  mount -t proc proc "$root/proc"
  mount -t sysfs sysfs "$root/sys"
  mkdir -p "$root/sys/fs/cgroup"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs tmpfs "$root/tmp"
  make_devices "$root/dev"

  cp -r "$directory/units" "$root/run/units"
  install -m 755 "$directory/turnstone" "$root/usr/bin/turnstone"
  systemd-sysusers --root="$root" "$directory/sysusers.conf"
  rm -rf "$root/etc/turnstone" "$root/var/lib/turnstone"
  mkdir "$root/etc/turnstone"
  cp "$directory/turnstone.toml" "$root/run/turnstone.toml"
  chroot "$root" install -o root -g turnstone -m 640 /run/turnstone.toml /etc/turnstone/

  mkdir -p "$root/run/old"
  cd "$root"
  pivot_root . run/old
  umount -l /run/old
  # As systemd does where it is not in a container: credentials need it.
  mount --make-rshared /
  # Only these units exist here, whatever else the machine has.
  export container=test SYSTEMD_UNIT_PATH=/run/units SYSTEMD_GENERATOR_PATH=/run/none
  exec /lib/systemd/systemd --unit=default.target --show-status=no
}

# The devices that PrivateDevices= copies.
make_devices() {
  local dev=$1 name
  mount -t tmpfs -o mode=755 tmpfs "$dev"
  for name in null zero full random urandom tty; do
    touch "$dev/$name"
    mount --bind "/dev/$name" "$dev/$name"
  done
  mkdir "$dev/shm" "$dev/pts"
  mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$dev/pts"
  ln -s pts/ptmx "$dev/ptmx"
}

"$@"
