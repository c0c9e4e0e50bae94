# shellcheck shell=bash
# What building for another machine takes; read by static.sh where $ARCH is not this one, not run by itself.
#
# Nothing is installed: packages of Debian are unpacked once into target/cross/ARCH/root. Those are the headers and static
# libraries of the other machine, and, where the Rust toolchain has no standard library for it (rustup target add
# brings one), a compiler of Debian's with its own. Clang and lld know every machine. Remove target/cross to have
# newer packages.
#
# Sets
#   cross     the directory: root, and cc, which compiles and links for the other machine
#   target    its triple
#   emulator  runs a program of that machine here
# and exports what cargo, rustc, cc and libbpf-sys have to know.
# shellcheck disable=SC2034,SC2154  # static.sh uses them, and set out and arch

# The libelf of the next release lacks functions in its static form, and the compiler that this one has for browsers is
# new: where it is too old for a package, cargo says so.
cross_suites=(bookworm bookworm-security)
# Of the other machine: what the agent is linked with, and a shell for guests.
cross_libraries=(libc6-dev linux-libc-dev libgcc-12-dev libelf-dev zlib1g-dev busybox-static)

cross_die() {
	printf 'cross: %s\n' "$*" >&2
	exit 1
}

# Whether a compiler has a standard library for a triple.
cross_has_std() {
	compgen -G "$("$1" --print target-libdir --target "$2" 2>/dev/null)/libstd-*.rlib" >/dev/null
}

# cross_fetch DIRECTORY ARCH NATIVE KIND: fills DIRECTORY/root; KIND is std, if the compiler comes along, or libraries. The
# build scripts are linked statically as the agent is, so they need the libraries of this machine too.
cross_fetch() {
	local to=$1 other native work rust=rustc-web package
	other=$(debian_name "$2") native=$(debian_name "$3")
	work=$(mktemp -d "$to/.fetch-XXXXXX")
	use "$work/apt" "$native,$other" "${cross_suites[@]}"
	apt-get "${options[@]}" update -qq
	local -a wanted=("${cross_libraries[@]/%/:$other}" "libelf-dev:$native" "zlib1g-dev:$native")
	if [ "$4" = std ]; then
		# With all that the compiler needs to run. Of these the C library and the runtimes of the C compiler stay out: this
		# machine has them, and they must not be older than what it links.
		mapfile -t -O ${#wanted[@]} wanted < <(apt-get "${options[@]}" install -qq --print-uris --no-install-recommends \
			"lib${rust/rustc/std-rust}-dev" | sed -n "s/^'[^']*' \([^_]*\)_.*/\1/p" | grep -vxE 'libc6|gcc-.*|libgcc-s1|libstdc\+\+6')
		wanted+=("$rust" "lib${rust/rustc/std-rust}-dev:$other")
	fi
	mkdir "$work/root"
	(cd "$work" && apt-get "${options[@]}" download -qq "${wanted[@]}")
	for package in "$work"/*.deb; do
		dpkg-deb -x "$package" "$work/root"
	done
	rm -rf "$to/root"
	mv "$work/root" "$to/root"
	rm -rf "$work"
}

# cross_rustc DIRECTORY ARCH: writes a program that starts the unpacked compiler. It looks beside it for those of its libraries
# that this machine lacks.
cross_rustc() {
	local root=$1/root libs=$1/libs libraries=$1/root/usr/lib/$2-linux-gnu missing name
	rm -rf "$libs"
	mkdir "$libs"
	ln -s "$libraries"/librustc_driver-*.so "$libs"
	while missing=$(LD_LIBRARY_PATH=$libs ldd "$libs"/librustc_driver-*.so | sed -n 's/^\t\(.*\) => not found$/\1/p') && [ -n "$missing" ]; do
		for name in $missing; do
			ln -s "$(find "$root" -name "$name" -print -quit)" "$libs/$name" || return
		done
	done
	printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s/usr/bin/rustc "$@"\n' "$libs" "$root" >"$1/rustc"
	chmod +x "$1/rustc"
}

cross_prepare() {
	local native triple=$arch-unknown-linux-gnu kind=libraries tool
	native=$(uname -m)
	PATH=$PWD/target/tools:$PATH
	debian_name "$arch" >/dev/null || cross_die "there is no building for $arch"
	for tool in clang ld.lld llvm-ar "qemu-$arch-static" apt-get dpkg-deb; do
		command -v "$tool" >/dev/null || cross_die "needs $tool"
	done
	[ -r "$keyring" ] || cross_die "needs $keyring (package debian-archive-keyring)"
	cross_has_std "${RUSTC:-rustc}" "$triple" || kind=std
	mkdir -p "$out/cross/$arch"
	cross=$(realpath "$out/cross/$arch")
	emulator=qemu-$arch-static
	target=$triple
	if [ "$(cat "$cross/complete" 2>/dev/null)" != "${cross_suites[*]} ${cross_libraries[*]} $kind" ]; then
		echo "cross: fetching what building for $arch takes from $mirror" >&2
		rm -rf "$cross"/{complete,rustc}
		cross_fetch "$cross" "$arch" "$native" "$kind"
		[ "$kind" != std ] || cross_rustc "$cross" "$native"
		# shellcheck disable=SC2016 # for the program
		printf '#!/bin/sh\nexec clang --target=%s-linux-gnu --sysroot=%s -fuse-ld=lld -Wno-unused-command-line-argument "$@"\n' \
			"$arch" "$cross/root" >"$cross/cc"
		chmod +x "$cross/cc"
		echo "${cross_suites[*]} ${cross_libraries[*]} $kind" >"$cross/complete"
	fi
	if [ "$kind" = std ]; then
		export RUSTC=$cross/rustc
	fi
	local variable=${triple//-/_} host=${native}_unknown_linux_gnu
	export "CARGO_TARGET_${variable^^}_LINKER=$cross/cc" "CARGO_TARGET_${variable^^}_RUNNER=$emulator"
	export "CC_$variable=$cross/cc" AR=llvm-ar
	export "LIBBPF_SYS_LIBRARY_PATH_$variable=$cross/root/usr/lib/$arch-linux-gnu"
	export "LIBBPF_SYS_LIBRARY_PATH_$host=$cross/root/usr/lib/$native-linux-gnu"
}

# shellcheck source=packaging/scripts/debian.sh
. packaging/scripts/debian.sh
cross_prepare
