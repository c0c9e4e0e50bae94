#!/usr/bin/env bash
# Boots a disk of image.sh: boot.sh KERNEL IMAGE PAYLOAD CONSOLE, and prints what PAYLOAD/command prints.
#
# KERNEL is a directory made by tests/vm/fetch.sh, and gets $LINE on its command line. What the guest writes to the disk
# stays there. Ends with the command's status; 124 after $LIMIT_S seconds, 125 if the guest died.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/vm/machine.sh
. "$here/../vm/machine.sh"
kernel=$1 image=$2 payload=$3 console=$4

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,dev,modules,proc,sys}
cp -L "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init" "$root/init"
cp -a "$payload" "$root/payload"
chmod 0755 "$root/init"
numbered "$kernel" "$root/modules" virtio_pci virtio_blk ext4
initial "$root" "$work/initrd"

status=0
machine "${LIMIT_S:-300}" 1G "$kernel" "$work/initrd" "quiet systemd.unit=guest.target ${LINE:-}" \
	-drive "file=$image,format=raw,if=virtio,cache=unsafe" \
	-serial "file:$console" -serial stdio -serial "file:$work/status" || status=$?
if [ "$status" = 124 ] || [ "$status" = 137 ]; then
	echo "boot: no end within ${LIMIT_S:-300} s" >&2
	exit 124
elif [ ! -s "$work/status" ]; then
	tail -n 40 "$console" >&2
	echo "boot: the guest died" >&2
	exit 125
fi
exit "$(tr -dc 0-9 <"$work/status")"
