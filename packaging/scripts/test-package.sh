#!/usr/bin/env bash
# Installs the packages on real systemd machines, in QEMU, and tries them from installation to purge.
#
# Builds the packages, makes a disk of Debian once (target/vm/*.ext4), and boots copies of it: the .deb is installed,
# asked, reloaded, killed and upgraded, then the machine is started again and it is removed and purged; the .rpm is
# installed and removed on another, and on one where SELinux enforces. Ends with 77 if something is missing here, whose
# reason is the last line.
set -euo pipefail
cd "$(dirname "$0")/../.."

unavailable() {
	echo "test-package: $*"
	exit 77
}

[ "${ARCH:-$(uname -m)}" = x86_64 ] || unavailable "guests are x86_64"
[ "$(id -u)" = 0 ] || unavailable "making a disk of Debian needs root"
for tool in qemu-system-x86_64 busybox cpio modprobe xz mmdebstrap mke2fs rpmbuild dpkg-deb jq; do
	PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || unavailable "needs $tool"
done

# Suite of Debian, and the kernel of tests/vm/kernels that it comes with.
suites=("bookworm 6.1" "trixie 6.12")

packaging/scripts/package.sh
packages=${CARGO_TARGET_DIR:-target}/package
vm=${CARGO_TARGET_DIR:-target}/vm
mkdir -p "$vm"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The same package with the next version, to upgrade to.
cp "$packages"/*.deb "$work/first.deb"
dpkg-deb -R "$work/first.deb" "$work/tree"
sed -i 's/^Version: .*/&+1/' "$work/tree/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$work/tree" "$work/second.deb" >/dev/null
sed -n 's/^Version: //p' "$work/tree/DEBIAN/control" >"$work/second.version"
cp "$packages"/*.rpm "$work/first.rpm"

# The blocks of commands that the handbook marks for guests, each a script.
mkdir "$work/documented"
for text in docs/operating.md docs/troubleshooting.md; do
	awk -v to="$work/documented/$(basename "$text" .md)" '
		/^```/ && inside { inside = 0; close(file); next }
		/^```sh guest$/ { inside = 1; file = sprintf("%s-%02d", to, ++n); next }
		inside { print > file }' "$text"
done

passed=0 failed=0

# try NAME KERNEL IMAGE COMMAND FILE...: boots and counts what the command says.
try() {
	local name=$1 kernel=$2 image=$3 command=$4 begun=$SECONDS status=0
	shift 4
	rm -rf "$work/payload"
	mkdir "$work/payload"
	cp -r tests/package/lib.sh "$@" "$work/payload"
	cp "tests/package/$command" "$work/payload/command"
	printf '\n== %s\n' "$name"
	tests/package/boot.sh "$kernel" "$image" "$work/payload" "$work/console" >"$work/said" 2>&1 || status=$?
	cat "$work/said"
	passed=$((passed + $(grep -c '^ok: ' "$work/said" || true)))
	failed=$((failed + $(grep -c '^FAILED: ' "$work/said" || true)))
	grep -q '^test result: ' "$work/said" || {
		echo "test-package: $name ended with $status"
		failed=$((failed + 1))
	}
	echo "test-package: $name took $((SECONDS - begun)) s"
}

# disk IMAGE SUITE PACKAGE...: makes a disk that is not there yet, or that was made otherwise.
disk() {
	[ "$1" -nt tests/package/image.sh ] || tests/package/image.sh "$@" ||
		unavailable "no Debian $2 could be made; is a mirror reachable?"
}

for suite in "${suites[@]}"; do
	read -r name release <<<"$suite"
	kernel=$(tests/vm/fetch.sh "$release") || unavailable "no kernel $release"
	image=$vm/$name.ext4
	disk "$image" "$name" rpm apparmor
	cp --sparse=always "$image" "$work/disk"
	try "the .deb on $name" "$kernel" "$work/disk" deb-first "$work"/{first.deb,second.deb,second.version}
	try "after a reboot of $name" "$kernel" "$work/disk" deb-second "$work/documented"
	cp --sparse=always "$image" "$work/disk"
	try "the .rpm on $name" "$kernel" "$work/disk" rpm "$work/first.rpm"
done

# The last of these suites, whose policy is the newest; on a disk of its own, as all files have labels. What SELinux denies
# is read from the kernel's log, which must hold all of it.
image=$vm/$name-selinux.ext4
disk "$image" "$name" rpm selinux-policy-default policycoreutils
cp --sparse=always "$image" "$work/disk"
LIMIT_S=600 LINE="security=selinux log_buf_len=4M audit_backlog_limit=8192 sysctl.kernel.printk_ratelimit=0" \
	try "the .rpm on $name with SELinux" "$kernel" "$work/disk" selinux "$work/first.rpm"

printf '\ntest-package: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
