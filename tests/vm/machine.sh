# shellcheck shell=bash
# What all guests have in common: modules that busybox can load, the initial file system, and QEMU.

# module_files KERNEL MODULE...: the module files of a directory made by fetch.sh, in the order to load them; none for what
# is built in.
module_files() {
	local kernel=$1 release module
	shift
	release=$(basename "$(readlink -f "$kernel")")
	for module; do
		PATH=$PATH:/usr/sbin:/sbin modprobe -d "$kernel" -S "$release" --show-depends "$module"
	done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

# unpack FILE DIRECTORY [PREFIX]: a module, uncompressed, since busybox cannot load others.
unpack() {
	local name
	name=$(basename "$1")
	case $1 in
	*.xz) xz -dc "$1" >"$2/${3:-}${name%.xz}" ;;
	*.zst) zstd -dcq "$1" >"$2/${3:-}${name%.zst}" ;;
	*) cp "$1" "$2/${3:-}$name" ;;
	esac
}

# numbered KERNEL DIRECTORY MODULE...: modules with what they need, named in the order to load them.
numbered() {
	local kernel=$1 directory=$2 number=10 file
	shift 2
	while read -r file; do
		unpack "$file" "$directory" "$((number++))-"
	done < <(module_files "$kernel" "$@")
}

# initial ROOT FILE: packs a directory as the initial file system.
initial() {
	(cd "$1" && find . -mindepth 1 -print0 | cpio --quiet -0 -o -H newc -R 0:0) >"$2"
}

# machine LIMIT_S MEMORY KERNEL INITIAL COMMAND_LINE [ARGUMENT OF QEMU]...: runs until the guest turns itself off.
#
# Software emulation: whether KVM works cannot be told from /dev/kvm being there. One CPU is faster than several, which
# QEMU has to keep in step. Without -cx16 guests of QEMU 7.2 crash at random in cmpxchg16b. Repeated string operations on
# bytes, detours around speculation and cleared memory are cheap on a CPU and dear in emulation: without them tests take
# two thirds of the time, most of which goes into the verifier. An oops ends the guest, as it turns off when it panics;
# the watchdog would report nothing but that this machine is busy.
machine() {
	local limit=$1 memory=$2 kernel=$3 initial=$4 line=$5
	shift 5
	timeout --foreground -k 5 "$limit" qemu-system-x86_64 \
		-nodefaults -no-user-config -display none -no-reboot \
		-machine pc -accel tcg,tb-size=256 -cpu max,-cx16,-erms,-fsrm -smp 1 -m "$memory" \
		-kernel "$kernel/vmlinuz" -initrd "$initial" \
		-append "console=ttyS0 panic=-1 oops=panic nowatchdog random.trust_cpu=on mitigations=off init_on_alloc=0 $line" \
		"$@" </dev/null
}
