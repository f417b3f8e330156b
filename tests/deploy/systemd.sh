#!/usr/bin/env bash
# Becomes systemd, as the first process of a box, with one unit to start.
#
#   systemd.sh UNIT
set -euo pipefail
if [ -d /sys/fs/cgroup/systemd ]; then
  mount -t tmpfs -o mode=755 box /sys/fs/cgroup
  mkdir /sys/fs/cgroup/systemd
  mount -t cgroup -o none,name=systemd,xattr box /sys/fs/cgroup/systemd
else
  mount -t cgroup2 box /sys/fs/cgroup
fi
# As it is on a machine that booted: what is mounted for a unit reaches it.
mount --make-rshared /
export container=box
exec /lib/systemd/systemd --system --unit="$1" --show-status=false
