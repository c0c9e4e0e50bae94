#!/usr/bin/env bash
# Fetches a kernel for a guest and prints the directory that holds it: fetch.sh NAME, a name of the table `kernels`.
#
# A kernel is a Debian package that is unpacked, not installed, into $SENTINEL_VM_DIR (target/vm/kernels by default):
# RELEASE/{vmlinuz,config,lib/modules/RELEASE}, and a link from NAME to RELEASE; those for aarch64, where ARCH names that
# or this machine is one, into its directory aarch64. What is there already is used without
# asking anybody; remove the link to have the newest build again.
#
# Ends with 77 if the kernel is not to be had, and says why in one line.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=${1:?usage: fetch.sh NAME}
cache=${SENTINEL_VM_DIR:-$here/../../target/vm/kernels}
# shellcheck source=packaging/scripts/debian.sh
. "$here/../../packaging/scripts/debian.sh"
machine=${ARCH:-$(uname -m)}
[ "$machine" = x86_64 ] || cache=$cache/$machine
architecture=$(debian_name "$machine")
# Small, and built for virtual machines.
flavour=linux-image-cloud-$architecture

unavailable() {
	printf 'kernel %s: %s\n' "$name" "$*" >&2
	exit 77
}

suites=$(sed -n "s/^$name  *//p" "$here/kernels")
[ -n "$suites" ] || {
	printf 'fetch: no kernel is called %s; the names are: %s\n' "$name" \
		"$(sed -n 's/^\([^# ]*\) .*/\1/p' "$here/kernels" | paste -sd' ')" >&2
	exit 2
}
answer_from_cache() {
	[ ! -e "$cache/$name/vmlinuz" ] || {
		readlink -f "$cache/$name"
		exit
	}
}
answer_from_cache
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
# Of two runs at once, one fetches and the other waits for it.
exec 9>"$cache/.lock"
flock 9
answer_from_cache
for tool in apt-get apt-cache dpkg-deb depmod; do
	command -v "$tool" >/dev/null || unavailable "needs $tool to fetch it"
done
[ -r "$keyring" ] || unavailable "needs $keyring to check it (package debian-archive-keyring)"

work=$(mktemp -d "$cache/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT

# depends PACKAGE PATTERN: what the newest version of a package needs, by name.
depends() {
	apt-cache "${options[@]}" show --no-all-versions "$1" 2>/dev/null |
		sed -n 's/^Depends: //p' | grep -oE "$2" || true
}

# The newest release of each suite, the newest first. An old suite can be gone or empty; another may still do.
: >"$work/errors"
for suite in $suites; do
	use "$work/apt/$suite" "$architecture" "$suite"
	apt-get "${options[@]}" update -qq >>"$work/errors" 2>&1 || continue
	# The package of this name holds nothing and needs the newest kernel of its suite.
	depends "$flavour" 'linux-image-[0-9][^ ,]*' | sed "s/^linux-image-\(.*\)/\1 $suite/"
done | if [ "$name" = newest ]; then cat; else grep "^${name//./\\.}\." || true; fi | sort -rV >"$work/candidates"
if [ ! -s "$work/candidates" ]; then
	reason=$(sed -n 's/^[EW]: //p' "$work/errors" | head -n 1)
	unavailable "none in $suites at $mirror: ${reason:-no kernel of that name there}"
fi

# unpack RELEASE: newer packages are split in three; the one that is called base may be missing, it has the
# configuration alone.
unpack() {
	local image=linux-image-$1 part
	rm -rf "$work/root"
	for part in "$image" $(depends "$image" 'linux-(base|binary|modules)-[0-9][^ ,]*'); do
		(cd "$work" && apt-get "${options[@]}" download -qq "$part" >>errors 2>&1 && dpkg-deb -x "$part"_*.deb root) ||
			[[ $part == linux-base-* ]] || return 1
	done
}

while read -r release suite; do
	use "$work/apt/$suite" "$architecture" "$suite"
	unpack "$release" || continue
	modules=$(find "$work/root" -path "*/lib/modules/$release" -type d)
	mkdir -p "$work/kernel/lib/modules"
	for file in vmlinuz config; do
		find "$work/root" \( -name "$file-$release" -o -path "$modules/$file" \) -type f -exec cp {} "$work/kernel/$file" \;
	done
	mv "$modules" "$work/kernel/lib/modules/"
	depmod -b "$work/kernel" "$release"
	# In place only when it is whole.
	[ -e "$cache/$release" ] || mv "$work/kernel" "$cache/$release"
	ln -sfn "$release" "$cache/$name"
	echo "$cache/$release"
	exit
done <"$work/candidates"
unavailable "cannot fetch it from $mirror: $(sed -n 's/^[EW]: //p' "$work/errors" | tail -n 1)"
