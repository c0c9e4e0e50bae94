#!/usr/bin/env bash
# Runs the agent in the foreground with its built-in configuration; arguments are handed on.
#
# No file needs to exist first. Events go to /var/log/sentineledge/sentinel.log, as they would in production, and
# besides to standard output: coloured lines on a terminal, JSON lines elsewhere.
set -euo pipefail
cd "$(dirname "$0")/../.."

agent=("${CARGO_TARGET_DIR:-target}/release/sentinel-edge" run --stdout auto "$@")
if [ "$(id -u)" = 0 ]; then
	exec "${agent[@]}"
fi
command -v sudo >/dev/null || {
	echo "run: loading eBPF programs needs root, and there is no sudo; as root, run: ${agent[*]}" >&2
	exit 1
}
echo "run: loading eBPF programs needs root: sudo ${agent[*]}" >&2
exec sudo -- "${agent[@]}"
