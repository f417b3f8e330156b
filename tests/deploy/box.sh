#!/usr/bin/env bash
# Prepares a private copy of this machine's file system and becomes COMMAND in it. Runs as root, in mount, process and
# host name namespaces of its own; everything that is written is gone with the last process.
#
#   box.sh WORK PYTHON NAME PACKAGES SOURCE FILES COMMAND...
#
# WORK is an empty folder, PYTHON where the interpreter NAME is installed, PACKAGES and SOURCE where it finds what it
# imports, FILES a folder whose contents are laid over the root.
set -euo pipefail
work=$1 python=$2 name=$3 packages=$4 source=$5 files=$6
shift 6

mount --make-rprivate /
mount -t tmpfs -o mode=755 box "$work"
mkdir "$work"/{upper,scratch,root}
root=$work/root
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/scratch" box "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind /dev/null "$root/dev/console"
mount -t tmpfs -o mode=755 box "$root/run"
mount -t tmpfs -o mode=755 box "$root/etc/systemd/system"
mount -t tmpfs -o mode=755 box "$root/usr/lib/systemd/system/sysinit.target.wants"
ln -s ../systemd-journald.service "$root/usr/lib/systemd/system/sysinit.target.wants/"

# An interpreter that any user can reach, as an installed one is.
mkdir -p "$root"/opt/{caracal/{bin,packages,source},python}
mount --rbind "$python" "$root/opt/python"
mount --bind "$packages" "$root/opt/caracal/packages"
mount --bind "$source" "$root/opt/caracal/source"
cat > "$root/opt/caracal/bin/caracal" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONHOME=/opt/python PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=/opt/caracal/source:/opt/caracal/packages
exec /opt/python/bin/$name -P -m caracal_server.cli "\$@"
EOF
chmod 755 "$root/opt/caracal/bin/caracal"
cp -r --preserve=mode,ownership "$files/." "$root/"

cd "$root"
mkdir outside
pivot_root . outside
umount -l /outside
exec "$@"
