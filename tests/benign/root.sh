#!/bin/sh
# The first process in the namespaces of the recording: root.sh DIRECTORY TOOLCHAIN. Makes DIRECTORY, a Debian system
# that debootstrap made, the root, with the Rust toolchain at /usr/local/rust, and runs work.sh there.
#
# The network is the host's, since packages are to be fetched. All else is of this root alone.
set -eu

root=$1
toolchain=$2
mount --bind "$root" "$root"
cd "$root"
mkdir -p old usr/local/rust srv/work
cp "$(dirname "$0")/work.sh" "$(dirname "$0")/prepare.sh" srv/work/
mount --bind "$toolchain" usr/local/rust
mount -o remount,bind,ro usr/local/rust
cp /etc/resolv.conf etc/resolv.conf
echo build-1 >etc/hostname
printf '127.0.0.1 localhost build-1\n' >etc/hosts
hostname build-1
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 none run
mount -t tmpfs -o mode=1777 none tmp
mount -t tmpfs -o mode=0755 none dev
for name in null zero full random urandom tty; do
	: >"dev/$name"
	mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 none dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
chroot . sh -eu srv/work/prepare.sh
pivot_root . old
cd /
umount -l /old
exec env -i HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 TERM=xterm \
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin sh /srv/work/work.sh
