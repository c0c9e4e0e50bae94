#!/usr/bin/env bash
# Writes the tables of docs/kernels.md from results: document.sh RESULT..., files below target/vm/results without their
# ending, in the order of the columns.
#
# A result has lines of fields parted by tabs: kernel, release, lsm (bpf or none), hooks (trampoline or syscall), kind
# (test or class), name, hook (of a class), result.
set -euo pipefail
cd "$(dirname "$0")/../.."
document=docs/kernels.md

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
awk -F '\t' -f tests/vm/tables.awk "${@/%/.tsv}" >"$work/tables"

# Between the two marks everything is ours.
awk -v tables="$work/tables" '
	/^<!-- tables begin/ { print; print ""; while ((getline line < tables) > 0) print line; inside = 1 }
	/^<!-- tables end/ { inside = 0 }
	!inside' "$document" >"$work/document"
cat "$work/document" >"$document"
