#!/usr/bin/env bash
# Boots a kernel in QEMU and runs the suites in it: boot.sh KERNEL SUITES REPORT CONSOLE [KERNEL ARGUMENT]...
#
# KERNEL is a directory made by fetch.sh, SUITES a directory of test binaries. REPORT gets the lines that
# guest/suites writes, CONSOLE the kernel's log. The guest is busybox in a tmpfs, on one emulated CPU, with no network
# but lo. Ends with 124 if the guest takes longer than $SENTINEL_VM_LIMIT_S seconds, else with QEMU's status; whether
# the tests passed stands in the report.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
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
cp -L "$(command -v busybox)" "$root/bin/busybox"
cp "$here/guest/init" "$root/init"
cp "$here/guest/suites" "$root/payload/suites"
cp "$suites"/* "$root/payload/bin/"
cp "$kernel/config" "$root/boot/config-$release" 2>/dev/null || true
chmod -R a+rX "$root"
chmod 0755 "$root/init" "$root"/payload/bin/*
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"

# put FILE DIRECTORY [PREFIX]: a module, uncompressed, since busybox cannot load others.
put() {
	local name
	name=$(basename "$1")
	case $1 in
	*.xz) xz -dc "$1" >"$root/$2/${3:-}${name%.xz}" ;;
	*.zst) zstd -dcq "$1" >"$root/$2/${3:-}${name%.zst}" ;;
	*) cp "$1" "$root/$2/${3:-}$name" ;;
	esac
}

# files MODULE...: the module files in the order to load them; none for what is built in.
files() {
	local module
	for module; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "$kernel" -S "$release" --show-depends "$module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

number=10
while read -r file; do
	put "$file" modules "$((number++))-"
done < <(files "${modules[@]}")
while read -r file; do
	put "$file" modules/spare
done < <(files "$spare")
{
	printf 'export SENTINEL_VM_HOOKS="%s"\n' "${SENTINEL_VM_HOOKS:-trampoline syscall}"
	printf 'export RUST_LOG="%s"\n' "${SENTINEL_VM_LOG:-warn}"
	printf "export tests='%s'\n" "${SENTINEL_VM_TESTS:-.}"
	printf "export on_trampolines='%s'\n" "${SENTINEL_VM_ON_TRAMPOLINES:-.}"
} >"$root/payload/environment"

(cd "$root" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$work/initrd"

# Software emulation: whether KVM works cannot be told from /dev/kvm being there. One CPU is faster than several, which
# QEMU has to keep in step. Without -cx16 guests of QEMU 7.2 crash at random in cmpxchg16b. Repeated string operations on
# bytes, detours around speculation and cleared memory are cheap on a CPU and dear in emulation: without them tests take
# two thirds of the time, most of which goes into the verifier. An oops ends the guest, as it turns off when it panics;
# the watchdog would report nothing but that this machine is busy.
: >"$report"
timeout --foreground -k 5 "${SENTINEL_VM_LIMIT_S:-1800}" qemu-system-x86_64 \
	-nodefaults -no-user-config -display none -no-reboot \
	-machine pc -accel tcg,tb-size=256 -cpu max,-cx16,-erms,-fsrm -smp 1 -m 2G \
	-kernel "$kernel/vmlinuz" -initrd "$work/initrd" \
	-append "console=ttyS0 panic=-1 oops=panic nowatchdog random.trust_cpu=on mitigations=off init_on_alloc=0 $*" \
	-serial "file:$console" -serial "file:$report" </dev/null
