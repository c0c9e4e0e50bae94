#!/usr/bin/env bash
# Boots a kernel in QEMU and runs the suites in it: boot.sh KERNEL SUITES REPORT CONSOLE [KERNEL ARGUMENT]...
#
# KERNEL is a directory made by fetch.sh, SUITES a directory of test binaries. REPORT gets the lines that
# guest/suites writes, CONSOLE the kernel's log. $SENTINEL_VM_AGENT is the agent, if guest/agent is among the suites. The
# guest is busybox ($SENTINEL_VM_BUSYBOX, or that of this machine) in a tmpfs, on one emulated CPU of $ARCH, with no
# network but lo. Ends with 124 if the guest takes longer than $SENTINEL_VM_LIMIT_S seconds, else with QEMU's status;
# whether the tests passed stands in the report.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/vm/machine.sh
. "$here/machine.sh"
kernel=$1 suites=$2 report=$3 console=$4
shift 4
release=$(basename "$(readlink -f "$kernel")")
# Loaded in each guest, where the kernel has them as modules.
modules=(overlay loop brd)
# Put beside them for tests that load one.
spare=dummy

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root"/{bin,boot,dev,etc,mnt,modules/spare,payload/bin,proc,root,run,sys,tmp}
cp -L "${SENTINEL_VM_BUSYBOX:-$(command -v busybox)}" "$root/bin/busybox"
cp "$here/guest/init" "$root/init"
cp "$here/guest/suites" "$root/payload/suites"
cp "$suites"/* "$root/payload/bin/"
[ -z "${SENTINEL_VM_AGENT:-}" ] || cp "$SENTINEL_VM_AGENT" "$root/payload/sentinel-edge"
cp "$kernel/config" "$root/boot/config-$release" 2>/dev/null || true
chmod -R a+rX "$root"
chmod 0755 "$root/init" "$root"/payload/bin/*
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"

numbered "$kernel" "$root/modules" "${modules[@]}"
while read -r file; do
	unpack "$file" "$root/modules/spare"
done < <(module_files "$kernel" "$spare")
{
	printf 'export SENTINEL_VM_HOOKS="%s"\n' "${SENTINEL_VM_HOOKS:-trampoline syscall}"
	printf 'export RUST_LOG="%s"\n' "${SENTINEL_VM_LOG:-warn}"
	printf "export tests='%s'\n" "${SENTINEL_VM_TESTS:-.}"
	printf "export on_trampolines='%s'\n" "${SENTINEL_VM_ON_TRAMPOLINES:-.}"
} >"$root/payload/environment"

initial "$root" "$work/initrd"

: >"$report"
port "$report"
machine "${SENTINEL_VM_LIMIT_S:-1800}" 2G "$kernel" "$work/initrd" "$*" -serial "file:$console" "${second[@]}"
