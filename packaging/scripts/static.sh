# shellcheck shell=bash
# How a program is linked that needs no shared library; read by scripts that build, not run by itself.
#
# For this machine, or for the one that ARCH names, x86_64 or aarch64: cross.sh has what that takes.
#
# Sets
#   out       cargo's target directory
#   arch      the machine to build for
#   target    its triple; with it as --target the flags stay away from build scripts and macros
#   static    yes, or no if the libraries that are installed cannot be linked statically
#   flags     what RUSTFLAGS is to be
#   features  further arguments of cargo
#   cross     nothing; for another machine what cross.sh says, as for emulator
# and exports what libbpf-sys and the linker have to know.
# shellcheck disable=SC2034  # the reader uses them

out=${CARGO_TARGET_DIR:-target}
arch=${ARCH:-$(uname -m)}
if [ "$arch" = "$(uname -m)" ]; then
	target=$(rustc -vV | sed -n 's/^host: //p')
	cc=cc emulator='' cross=''
else
	# shellcheck source=packaging/scripts/cross.sh
	. packaging/scripts/cross.sh
	cc=$cross/cc
fi

# The path of a library that the linker knows; fails if it knows none.
library() {
	local path
	path=$("$cc" -print-file-name="$1")
	[ "$path" != "$1" ] && realpath "$path"
}

# links LIBRARY...: a static program that opens an ELF file can be linked with these. Trying is the only way to know:
# libelf.a of elfutils 0.189 and later may want zstd, and that of 0.192 (Debian 13) lacks functions of its own.
links() {
	local program status=0
	program=$(mktemp)
	"$cc" -static-pie -o "$program" -x c - "$@" 2>/dev/null <<-'C' || status=$?
		#include <libelf.h>
		int main(void)
		{
			elf_version(EV_CURRENT);
			Elf *elf = elf_begin(0, ELF_C_READ, 0);
			return elf_strptr(elf, 1, 0) == 0 || elf_end(elf);
		}
	C
	rm -f "$program"
	return "$status"
}

# starts ARGUMENT...: a program that is linked statically with these starts here. Packed relocations are a thirtieth of plain
# ones, and a static program has to know how to unpack its own: glibc does since 2.36.
starts() {
	local program status=0
	program=$(mktemp)
	"$cc" -static-pie "$@" -o "$program" -x c - 2>/dev/null <<-'C' || status=$?
		const char *const text[] = { "a", "b" };
		int main(int count, char **arguments)
		{
			return text[count - 1][0] != 'a' || !arguments[0];
		}
	C
	[ "$status" != 0 ] || ${emulator:+"$emulator"} "$program" || status=$?
	rm -f "$program"
	return "$status"
}

flags=${RUSTFLAGS:-}
features=()
libelf=$(library libelf.a) || libelf=
if [[ $target != *-linux-gnu ]] || [ -z "$libelf" ]; then
	static=no
elif links -lelf -lz; then
	static=yes
elif links -lelf -lz -lzstd; then
	static=yes
	# libbpf-sys does not know of it. A linker of our own also reaches the build scripts, where libelf is static
	# too; the archive is named since rustc leaves the linker in a mode that prefers shared libraries.
	mkdir -p "$out/tools"
	printf '#!/bin/sh\nexec %s "$@" -l:libzstd.a\n' "$cc" >"$out/tools/cc-zstd"
	chmod +x "$out/tools/cc-zstd"
	variable=${target//-/_}
	export "CARGO_TARGET_${variable^^}_LINKER=$(realpath "$out/tools/cc-zstd")"
else
	static=no
fi
if [ "$static" = yes ]; then
	flags="${flags:+$flags }-C target-feature=+crt-static"
	features=(--features static)
	if starts -Wl,-z,pack-relative-relocs; then
		flags+=" -C link-arg=-Wl,-z,pack-relative-relocs"
	fi
	# rustc looks for static libraries only where it is told to, which excludes Debian's multiarch directory.
	if [ "$cc" = cc ]; then
		LIBBPF_SYS_LIBRARY_PATH=$(dirname "$libelf")
		export LIBBPF_SYS_LIBRARY_PATH
	fi
elif [ "$cc" != cc ]; then
	cross_die "no static program can be linked with what is in $cross/root"
fi
