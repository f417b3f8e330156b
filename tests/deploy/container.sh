#!/usr/bin/env bash
# Becomes COMMAND as a container engine would start it: user 65532, no capability, no new privileges, its root read-only
# but for WRITABLE, the folders that are mounted.
#
#   container.sh WRITABLE COMMAND...
set -euo pipefail
writable=$1
shift

mount -t tmpfs -o mode=1777,noexec,nosuid,nodev box /tmp
for folder in $writable; do
  mkdir -p "$folder"
  mount --bind "$folder" "$folder"
done
mount -o remount,bind,ro /
cd /
exec setpriv --reuid 65532 --regid 65532 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
