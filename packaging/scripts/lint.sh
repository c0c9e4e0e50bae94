#!/usr/bin/env bash
# Layout and lints of everything in the repository, and the BPF programs compiled for every architecture; changes
# nothing but target/.
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo fmt --all --check
find bpf -name '*.[ch]' -exec clang-format --dry-run -Werror {} +
shellcheck .ci/run packaging/scripts/*.sh packaging/container/*.sh packaging/package/install.sh packaging/package/deb/{postinst,prerm,postrm} \
	tests/{atomics,benign,container,ecs,package,vm}/*.sh tests/monitoring/grafana/*.sh tests/vm/guest/*
cargo clippy --locked --all-targets -- -D warnings

# The agent is built for this machine only; its kernel side must compile for all.
host=$(rustc -vV | sed -n 's/^host: //p')
headers=$(cargo metadata --quiet --format-version 1 --locked --filter-platform "$host" | tr ',' '\n' |
	sed -n 's|.*"manifest_path":"\(.*/libbpf-sys-[^/"]*\)/Cargo.toml".*|\1/libbpf/src|p' | head -n 1)
include=${CARGO_TARGET_DIR:-target}/tools/include
mkdir -p "$include"
ln -sfn "$headers" "$include/bpf"
for architecture in x86:x86_64 arm64:aarch64; do
	for source in bpf/*.bpf.c; do
		"${CLANG:-clang}" -g -O2 -target bpf -mcpu=v3 -fno-stack-protector -Wall -Werror \
			"-D__TARGET_ARCH_${architecture%%:*}" "-Ivmlinux/${architecture##*:}" -Ibpf -I"$include" \
			-c "$source" -o /dev/null
	done
done
echo "lint: clean"
