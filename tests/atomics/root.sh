#!/bin/sh
# The first process in the namespaces of one attack: root.sh DIRECTORY. Makes a root that takes all writes into memory,
# and runs the attack there with fewer capabilities.
#
# DIRECTORY has: setup, command, cleanup (scripts), executor, timeout (seconds) and mark, the word by which the attack's
# events are known; and maybe layer, a link to a directory of programs. Nothing of the host can be changed: the
# root is an overlay, /sys and /proc/sys are read-only, there are no devices, /run and its sockets are not
# there, and the network is the loopback alone.
set -eu

directory=$1
mount -t tmpfs -o size=512m,mode=0755 none /mnt
mkdir /mnt/upper /mnt/work /mnt/root /mnt/attack
for file in setup command cleanup executor timeout mark; do
	cp "$directory/$file" /mnt/attack/
done
cp "$(dirname "$0")/inside.sh" /mnt/attack/
lower=/
if [ -d "$directory/layer" ]; then
	# It must not lie below the other lower directory.
	cp -a "$directory/layer/." /mnt/layer
	lower=/mnt/layer:/
fi
mount -t overlay -o "nodev,lowerdir=$lower,upperdir=/mnt/upper,workdir=/mnt/work" none /mnt/root
cd /mnt/root
# Packages' scripts make groups; those of the layer did not run.
grep -q ^crontab: etc/group || echo 'crontab:x:986:' >>etc/group
mount -t proc proc proc
for path in proc/sys proc/sysrq-trigger; do
	[ -e "$path" ] || continue
	mount --bind "$path" "$path"
	mount -o remount,bind,ro "$path"
done
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o size=16m,mode=0755 none run
mount -t tmpfs -o size=256m,mode=1777,nodev none tmp
mount -t tmpfs -o size=64m,mode=0700,nodev none root
cp -a etc/skel/. root/
mount -t tmpfs -o size=16m,mode=0755 none dev
for name in null zero full random urandom tty; do
	: >"dev/$name"
	mount --bind "/dev/$name" "dev/$name"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o size=64m,mode=1777,nodev none dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mkdir -p opt/attack old
mount --bind /mnt/attack opt/attack
ip link set lo up 2>/dev/null || ifconfig lo up 2>/dev/null || echo "the loopback stays down"
pivot_root . old
cd /root
umount -l /old
# Loading code into the kernel, restarts, hardware and the clock are no namespace's own.
without=-sys_boot,-sys_module,-sys_rawio,-sys_time
exec setpriv "--bounding-set=$without" "--inh-caps=$without" sh /opt/attack/inside.sh
