#!/usr/bin/env bash
# Runs every test that this machine can run and says at the end what ran, what failed and what was left out.
#
# First all that needs nothing. Then, as root on a kernel with BTF, the tests marked #[ignore]: they load eBPF
# programs and look at the whole host, so each suite runs alone and its tests one after the other. Last the same tests
# on other kernels in QEMU, which needs no root, the packages on a machine with systemd, and containers. Under CI (the
# variable CI is true) none of these may be left out.
set -euo pipefail
cd "$(dirname "$0")/../.."
# promtool, if the bootstrap brought it.
PATH=$PWD/target/tools:$PATH:/usr/sbin:/sbin
export PATH

log=$(mktemp)
trap 'rm -f "$log"' EXIT
declare -a summary=()
passed=0 failed=0 skipped=0
# The oldest kernel that Debian still keeps, and that of its newest release.
kernels=(5.10 6.12)

# run NAME COMMAND...: adds the counts of cargo's closing lines to ours. Fails with 77 if the command does, which left
# something out then and says why in its last line.
run() {
	local name=$1 status=0 p f
	shift
	printf '\n== %s\n' "$name"
	"$@" </dev/null 2>&1 | tee "$log" || status=$?
	p=$(awk '/^test result:/ { n += $4 } END { print n + 0 }' "$log")
	f=$(awk '/^test result:/ { n += $6 } END { print n + 0 }' "$log")
	# A suite that does not compile, or dies, closes with no line.
	[ "$status" = 0 ] || [ "$status" = 77 ] || [ "$f" -gt 0 ] || f=1
	passed=$((passed + p)) failed=$((failed + f))
	[ "$status" = 77 ] && [ "$p" = 0 ] || summary+=("$(printf '%-24s %5d passed %3d failed' "$name" "$p" "$f")")
	[ "$status" != 77 ] || return 77
}

# elsewhere NAME COMMAND...: a run in guests or containers. What is missing for it fails CI, and is left out otherwise.
elsewhere() {
	local name=$1 why
	run "$@" || {
		why=$(tail -n 1 "$log")
		if [ "${CI:-}" = true ]; then
			failed=$((failed + 1))
			summary+=("$(printf '%-24s %5d failed: %s' "$name" 1 "$why")")
		else
			skip "$name" 1 "$why"
		fi
	}
}

skip() {
	skipped=$((skipped + $2))
	summary+=("$(printf '%-24s %5d skipped: %s' "$1" "$2" "$3")")
}

# Why the tests that load eBPF programs cannot run here; empty if they can.
obstacle() {
	local caps
	caps=$((16#$(sed -n 's/^CapEff:\t//p' /proc/self/status)))
	if [ "$(id -u)" != 0 ]; then
		echo "needs root"
	# CAP_SYS_ADMIN, or CAP_BPF with CAP_PERFMON.
	elif ((!(caps >> 21 & 1) && !((caps >> 39 & 1) && (caps >> 38 & 1)))); then
		echo "needs CAP_BPF and CAP_PERFMON, which root does not have here"
	elif [ ! -r /sys/kernel/btf/vmlinux ]; then
		echo "needs a kernel with BTF (/sys/kernel/btf/vmlinux)"
	fi
}

# The suites: cargo's arguments that pick each one, by the files' names.
suites() {
	local file name
	echo --lib
	for file in tests/*.rs tests/*/main.rs; do
		[ -e "$file" ] || continue
		name=${file#tests/}
		name=${name%/main.rs}
		echo "--test ${name%.rs}"
	done
}

run "unprivileged" cargo test --locked --no-fail-fast

run "instructions of rules" packaging/scripts/rules-cost.sh

why=$(obstacle)
while read -r -a pick; do
	name=${pick[-1]#--}
	count=$(cargo test --locked --quiet "${pick[@]}" -- --ignored --list </dev/null 2>/dev/null | grep -c ': test$' || true)
	[ "$count" -gt 0 ] || continue
	if [ -z "$why" ]; then
		run "$name (as root)" cargo test --locked "${pick[@]}" -- --ignored --test-threads=1
	else
		skip "$name" "$count" "$why"
	fi
done < <(suites)

elsewhere "on other kernels" packaging/scripts/test-vm.sh --short "${kernels[@]}"
elsewhere "packages" packaging/scripts/test-package.sh
elsewhere "containers" packaging/scripts/test-container.sh

printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
if [ -n "$why" ]; then
	printf 'The skipped suites load eBPF programs: %s.\n' "$why"
	[ "$(id -u)" = 0 ] || echo 'Run them with: sudo make test'
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ]
