#!/usr/bin/env bash
# Boots a disk of image.sh: boot.sh KERNEL IMAGE PAYLOAD CONSOLE, and prints what PAYLOAD/command prints.
#
# KERNEL is a directory made by tests/vm/fetch.sh. What the guest writes to the disk stays there. Ends with the
# command's status; 124 after $LIMIT_S seconds, 125 if the guest died.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kernel=$1 image=$2 payload=$3 console=$4
release=$(basename "$(readlink -f "$kernel")")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,dev,modules,proc,sys}
cp -L "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init" "$root/init"
cp -a "$payload" "$root/payload"
chmod 0755 "$root/init"
number=10
for module in virtio_pci virtio_blk ext4; do
	PATH=$PATH:/usr/sbin:/sbin modprobe -d "$kernel" -S "$release" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
	name=$((number++))-$(basename "${file%.xz}")
	case $file in
	*.xz) xz -dc "$file" >"$root/modules/$name" ;;
	*) cp "$file" "$root/modules/$name" ;;
	esac
done
(cd "$root" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$work/initrd"

# As in tests/vm/boot.sh, whose comment says why.
status=0
timeout --foreground -k 5 "${LIMIT_S:-300}" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
	-machine pc -accel tcg,tb-size=256 -cpu max,-cx16,-erms,-fsrm -smp 1 -m 1G \
	-kernel "$kernel/vmlinuz" -initrd "$work/initrd" \
	-append "console=ttyS0 quiet panic=-1 oops=panic nowatchdog random.trust_cpu=on mitigations=off init_on_alloc=0 systemd.unit=guest.target" \
	-drive "file=$image,format=raw,if=virtio,cache=unsafe" \
	-serial "file:$console" -serial stdio -serial "file:$work/status" </dev/null || status=$?
if [ "$status" = 124 ] || [ "$status" = 137 ]; then
	echo "boot: no end within ${LIMIT_S:-300} s" >&2
	exit 124
elif [ ! -s "$work/status" ]; then
	tail -n 40 "$console" >&2
	echo "boot: the guest died" >&2
	exit 125
fi
exit "$(tr -dc 0-9 <"$work/status")"
