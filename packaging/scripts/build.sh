#!/usr/bin/env bash
# Builds the release binary and leaves it at target/release/sentinel-edge; that for another machine, which ARCH names, at
# target/TRIPLE/release/sentinel-edge.
#
# Where static libraries of libelf, zlib and the C library are installed, the result is one static-pie file that
# runs on any glibc or musl Linux with a new enough kernel. Where they are not, it is linked dynamically.
set -euo pipefail
cd "$(dirname "$0")/../.."

# What a release may weigh, in bytes.
limit=10000000
# shellcheck source=packaging/scripts/static.sh
. packaging/scripts/static.sh
binary=$out/$target/release/sentinel-edge
if [ "$static" = no ]; then
	echo "build: no static program can be linked with the libelf, zlib and libc that are installed here, so" >&2
	echo "build: the binary will need libelf and zlib where it runs, and a C library as new as this one" >&2
fi

# Git refuses a work tree that another user owns, as in a container that builds as root; this one is meant.
if [ -z "${SOURCE_COMMIT:-}" ]; then
	SOURCE_COMMIT=$(git -c safe.directory="$PWD" rev-parse --short=12 HEAD 2>/dev/null || true)
fi
export SOURCE_COMMIT

# Two builds of a commit are the same, wherever they are made: the places of sources stay out of the binary. (Flags are
# split at blanks; who has one in these paths gets a binary that tells where it was built.)
registry=${CARGO_HOME:-$HOME/.cargo}
built=$(realpath -m "$out")
case $PWD$registry$built in
*[[:space:]]*) ;;
*) flags+=" --remap-path-prefix=$registry=cargo --remap-path-prefix=$built=target --remap-path-prefix=$PWD=." ;;
esac

RUSTFLAGS=$flags cargo build --release --locked --target "$target" "${features[@]}"

shown=$binary
if [ "$arch" = "$(uname -m)" ]; then
	shown=$out/release/sentinel-edge
	mkdir -p "$out/release"
	ln -sfn "../$target/release/sentinel-edge" "$shown"
fi

if [[ $flags == *--remap-path-prefix* ]] && grep -aqF -e "$PWD/bpf/" -e "$built/" -e "$registry/registry/" "$binary"; then
	echo "build: the binary holds the path of $PWD, of $built or of $registry" >&2
	exit 1
fi
size=$(stat -c %s "$binary")
needed=$(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | paste -sd' ')
printf 'build: %s, %s.%02d MB, shared libraries: %s\n' "$shown" \
	$((size / 1000000)) $((size % 1000000 / 10000)) "${needed:-none}"
if [ "$size" -gt "$limit" ]; then
	echo "build: $size bytes are more than the $limit that a release may have" >&2
	exit 1
fi
