#!/usr/bin/env bash
# Builds the release binary and leaves it at target/release/sentinel-edge.
#
# Where static libraries of libelf, zlib and the C library are installed, the result is one static-pie file that
# runs on any glibc or musl Linux with a new enough kernel. Where they are not, it is linked dynamically.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What a release may weigh, in bytes.
limit=10000000
out=${CARGO_TARGET_DIR:-target}
target=$(rustc -vV | sed -n 's/^host: //p')
binary=$out/$target/release/sentinel-edge

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

library() {
	local path
	path=$(cc -print-file-name="$1")
	[ "$path" != "$1" ] && realpath "$path"
}

# links LIBRARY...: a static program that opens an ELF file can be linked with these. Trying is the only way to know:
# libelf.a of elfutils 0.189 and later may want zstd, and that of 0.192 (Debian 13) lacks functions of its own.
links() {
	cc -static-pie -o "$work/static" -x c - "$@" 2>"$work/errors" <<-'C'
		#include <libelf.h>
		int main(void)
		{
			elf_version(EV_CURRENT);
			Elf *elf = elf_begin(0, ELF_C_READ, 0);
			return elf_strptr(elf, 1, 0) == 0 || elf_end(elf);
		}
	C
}

flags="${RUSTFLAGS:-}"
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
	printf '#!/bin/sh\nexec cc "$@" -l:libzstd.a\n' >"$out/tools/cc-zstd"
	chmod +x "$out/tools/cc-zstd"
	variable=${target//-/_}
	export "CARGO_TARGET_${variable^^}_LINKER=$(realpath "$out/tools/cc-zstd")"
else
	static=no
fi
if [ "$static" = yes ]; then
	flags+=" -C target-feature=+crt-static"
	features=(--features static)
	# rustc looks for static libraries only where it is told to, which excludes Debian's multiarch directory.
	LIBBPF_SYS_LIBRARY_PATH=$(dirname "$libelf")
	export LIBBPF_SYS_LIBRARY_PATH
else
	echo "build: no static program can be linked with the libelf, zlib and libc that are installed here, so" >&2
	echo "build: the binary will need libelf and zlib where it runs, and a C library as new as this one" >&2
fi

# Git refuses a work tree that another user owns, as in a container that builds as root; this one is meant.
if [ -z "${SOURCE_COMMIT:-}" ]; then
	SOURCE_COMMIT=$(git -c safe.directory="$PWD" rev-parse --short=12 HEAD 2>/dev/null || true)
fi
export SOURCE_COMMIT

# The explicit target keeps the flags away from build scripts and procedural macros.
RUSTFLAGS="${flags# }" cargo build --release --locked --target "$target" "${features[@]}"

mkdir -p "$out/release"
ln -sfn "../$target/release/sentinel-edge" "$out/release/sentinel-edge"

size=$(stat -c %s "$binary")
needed=$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | paste -sd' ')
printf 'build: %s, %s.%02d MB, shared libraries: %s\n' "$out/release/sentinel-edge" \
	$((size / 1000000)) $((size % 1000000 / 10000)) "${needed:-none}"
if [ "$size" -gt "$limit" ]; then
	echo "build: $size bytes are more than the $limit that a release may have" >&2
	exit 1
fi
