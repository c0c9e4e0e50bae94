#!/usr/bin/env bash
# Makes the root directory of the container image: rootfs.sh BINARY DIRECTORY
#
# This is all that the image holds. The Dockerfile's last stage copies the directory and adds nothing, and
# packaging/scripts/test-container.sh runs the agent from one that this script made, so that what is tested is what is
# shipped. There is no shell, no package manager and no library in it if the binary is static, as a release is; of one
# that is linked dynamically the libraries come along.
set -euo pipefail

[ $# = 2 ] || {
	echo "usage: rootfs.sh BINARY DIRECTORY" >&2
	exit 2
}
binary=$(realpath "$1") root=$2
cd "$(dirname "$0")/../.."
umask 022
mkdir -p "$root"
[ -z "$(ls -A "$root")" ] || {
	echo "rootfs: $root is not empty" >&2
	exit 1
}
root=$(realpath "$root")

install -D -m 0755 "$binary" "$root/usr/bin/sentinel-edge"
if ! readelf -lW "$binary" | grep -q INTERP; then
	libraries=()
else
	# Lines of ldd are `name => path (address)`, or `path (address)` for the loader itself.
	mapfile -t libraries < <(ldd "$binary" | grep -o '/[^ ]*')
	echo "rootfs: the binary is not static, so ${#libraries[@]} shared libraries come along" >&2
fi
for library in "${libraries[@]}"; do
	install -D -m 0755 "$library" "$root$library"
done

# What the packages install, too: the defaults, and places for rules, indicators, state and logs. Whoever runs the image
# mounts over them. 0700 is what the unit gives its own; the configuration holds no secret.
install -D -m 0644 packaging/config.toml "$root/etc/sentineledge/config.toml"
install -d -m 0755 "$root"/etc/sentineledge/{rules.d,indicators.d,tls,secret} "$root/run"
install -d -m 0700 "$root"/var/{log,lib}/sentineledge "$root/run/sentineledge"

# Mount points: a read-only root cannot get them later.
install -d -m 0755 "$root"/{proc,sys,dev} "$root"/host/{proc,etc,usr/lib}

# Names of users and groups, the machine's id and the name of the distribution are the host's, not the image's. Of /etc
# the directory is mounted, as a mount of /etc/passwd alone would show the old file for ever once useradd has put a new
# one in its place. Where it is not mounted the links lead nowhere, and events have numbers only.
for file in passwd group machine-id os-release; do
	ln -s "../host/etc/$file" "$root/etc/$file"
done
# On most hosts /etc/os-release is a link to ../usr/lib/os-release. No directory is mounted for this one file: the host's
# first process has it, and the agent may look there.
ln -s /proc/1/root/usr/lib/os-release "$root/host/usr/lib/os-release"

if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
	find "$root" -depth -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
fi
