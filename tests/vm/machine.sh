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

# port FILE: QEMU's arguments for the second serial port, the first that guest/init does not use as the console, in the
# array `second`. The board of arm64 has one port, so another is plugged in.
port() {
	# shellcheck disable=SC2034 # the caller uses it
	case ${ARCH:-$(uname -m)} in
	aarch64) second=(-chardev "file,id=second,path=$1" -device "pci-serial,chardev=second") ;;
	*) second=(-serial "file:$1") ;;
	esac
}

# machine LIMIT_S MEMORY KERNEL INITIAL COMMAND_LINE [ARGUMENT OF QEMU]...: runs until the guest turns itself off.
#
# Software emulation: whether KVM works cannot be told from /dev/kvm being there. One CPU is faster than several, which
# QEMU has to keep in step. Without -cx16 guests of QEMU 7.2 crash at random in cmpxchg16b. Repeated string operations on
# bytes, detours around speculation and cleared memory are cheap on a CPU and dear in emulation: without them tests take
# two thirds of the time, most of which goes into the verifier. For arm64 it is a CPU of the clouds, that has atomic
# instructions and no signed pointers, which take QEMU long. An oops ends the guest, as it turns off when it panics;
# the watchdog would report nothing but that this machine is busy.
machine() {
	local limit=$1 memory=$2 kernel=$3 initial=$4 line=$5 arch=${ARCH:-$(uname -m)} console
	local -a board
	shift 5
	case $arch in
	x86_64) board=(-machine pc -cpu "max,-cx16,-erms,-fsrm") console=ttyS0 ;;
	aarch64) board=(-machine virt -cpu neoverse-n1) console=ttyAMA0 ;;
	esac
	timeout --foreground -k 5 "$limit" "qemu-system-$arch" \
		-nodefaults -no-user-config -display none -no-reboot \
		"${board[@]}" -accel tcg,tb-size=256 -smp 1 -m "$memory" \
		-kernel "$kernel/vmlinuz" -initrd "$initial" \
		-append "console=$console panic=-1 oops=panic nowatchdog random.trust_cpu=on mitigations=off init_on_alloc=0 $line" \
		"$@" </dev/null
}
