#!/usr/bin/env bash
# Runs the privileged suites on other kernels, in QEMU: test-vm.sh [--short] [KERNEL]...
#
# KERNEL is a name of the table tests/vm/kernels; without one, all of them. Each kernel is booted twice, with BPF among
# its security modules and without, and each guest runs every test on trampolines and on the system call dispatcher.
# With --short each of the two ways of hooking runs once: trampolines where security modules may be BPF programs, the
# dispatcher where they may not, and of the tests those that the list tests/vm/short names. ARCH names the machine to
# emulate, x86_64 or aarch64, if it is to be another than this one. tests/vm/README.md tells
# more.
#
# Leaves target/vm/results/KERNEL.tsv; of this machine's kind also what an open costs there in target/guest-cost.log, and,
# if all kernels ran in full, docs/kernels.md. Ends with 77 if nothing failed
# but something could not run here, whose reason is the last line.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The test targets that run in guests. For another machine guests are the only place to try the whole agent, which
# tests/vm/guest/agent does.
suites=(privileged_kernel)
# What distributions enable beside BPF, in their order. Names that a kernel does not know are ignored.
modules=landlock,lockdown,yama,integrity,apparmor
# Seconds that a guest gets for itself and for each test: several times what the slowest kernel takes, the oldest.
boot_limit=120 test_limit=40

short=no
if [ "${1:-}" = --short ]; then
	short=yes
	shift
fi
mapfile -t all < <(sed -n 's/^\([^# ]\+\) .*/\1/p' tests/vm/kernels)
kernels=("$@")
[ $# -gt 0 ] || kernels=("${all[@]}")

unavailable() {
	echo "test-vm: $*"
	exit 77
}

for tool in "qemu-system-${ARCH:-$(uname -m)}" busybox cpio modprobe xz; do
	PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null || unavailable "needs $tool"
done
# shellcheck source=packaging/scripts/static.sh
. packaging/scripts/static.sh
busybox=${cross:+$cross/root/bin/busybox}
busybox=${busybox:-$(command -v busybox)}
! readelf -lW "$busybox" | grep -q INTERP || unavailable "needs a busybox that is linked statically"
[ "$static" = yes ] || unavailable "no static program can be linked with the libelf, zlib and libc installed here"

vm=$PWD/$out/vm
[[ $out != /* ]] || vm=$out/vm
results=$vm/results${cross:+-$arch}
mkdir -p "$results"
work=$(mktemp -d)
# shellcheck disable=SC2046 # one word for each guest
trap 'kill $(jobs -pr) 2>/dev/null || true; rm -rf "$work"' EXIT

# First the kernels: without them nothing has to be built.
declare -A directory=()
declare -a skipped=()
for kernel in "${kernels[@]}"; do
	status=0
	directory[$kernel]=$(tests/vm/fetch.sh "$kernel" 2>"$work/why") || status=$?
	case $status in
	0) ;;
	77) skipped+=("$(tail -n 1 "$work/why")") ;;
	*)
		cat "$work/why" >&2
		exit "$status"
		;;
	esac
done
[ ${#skipped[@]} -lt ${#kernels[@]} ] || unavailable "$(printf '%s; ' "${skipped[@]}" | sed 's/; $//')"

# Optimised, since libbpf works long on a kernel's types in emulation, and in a directory of its own, since these flags
# are nobody else's.
echo "test-vm: building ${suites[*]}"
RUSTFLAGS=$flags CARGO_PROFILE_DEV_OPT_LEVEL=2 cargo test --quiet --no-run --locked --message-format=json-render-diagnostics \
	--target "$target" --target-dir "$vm/build" "${features[@]}" "${suites[@]/#/--test=}" >"$work/artifacts"
mkdir "$work/suites"
sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$work/artifacts" | while read -r binary; do
	suite=$(basename "$binary")
	to=$work/suites/${suite%-*}
	# Cargo builds the agent along with its tests.
	[ "$suite" != sentinel-edge ] || to=$work/agent
	llvm-strip --strip-debug -o "$to" "$binary"
done
[ -z "$cross" ] || {
	suites+=(agent)
	cp tests/vm/guest/agent "$work/suites/agent"
}
# list SUITE: the names of its privileged tests.
list() {
	local -a with=()
	[ -z "$emulator" ] || [ "$1" = agent ] || with=("$emulator")
	"${with[@]}" "$work/suites/$1" --ignored --list --format terse | sed -n 's/: test$//p'
}
# patterns FILE: its lines as one expression.
patterns() {
	grep -v '^#' "$1" | paste -sd '|'
}
pattern=.
[ "$short" = no ] || pattern=$(patterns tests/vm/short)
on_trampolines=$(patterns tests/vm/trampolines)
# How many tests a guest runs with these hooks.
declare -A tests=([syscall]=0 [trampoline]=0)
for suite in "${suites[@]}"; do
	names=$(list "$suite" | grep -E "$pattern" || true)
	[ -n "$names" ] || {
		echo "test-vm: $suite has no privileged test" >&2
		exit 1
	}
	tests[syscall]=$((tests[syscall] + $(wc -l <<<"$names")))
	tests[trampoline]=$((tests[trampoline] + $(grep -cE "$on_trampolines" <<<"$names" || true)))
done

# tests_with HOOKS...
tests_with() {
	local sum=0 hooks
	for hooks; do
		sum=$((sum + tests[$hooks]))
	done
	echo "$sum"
}

passed=0 failed=0 died=0 started=$SECONDS
declare -a rows=()

# What each guest's files in $work/GUEST are about: KERNEL LSM HOOKS..., where LSM is bpf or none.
declare -a guests=()
for kernel in "${kernels[@]}"; do
	[ -n "${directory[$kernel]}" ] || continue
	if [ "$short" = yes ]; then
		guests+=("$kernel bpf trampoline" "$kernel none syscall")
	else
		guests+=("$kernel bpf trampoline syscall" "$kernel none trampoline syscall")
	fi
	rm -f "$results/$kernel.tsv"
done

# limit HOOKS...: seconds that a guest may take.
limit() {
	echo $((boot_limit + test_limit * $(tests_with "$@")))
}

# boot DIRECTORY KERNEL LSM HOOKS...: runs a guest to its end and leaves its report, console, QEMU's messages, status
# and time in the directory. One guest has one CPU, so there may be as many at a time as this machine has.
boot() {
	local to=$1 kernel=$2 lsm=$3 begun=$SECONDS status=0 list=$modules
	shift 3
	[ "$lsm" = none ] || list=$modules,bpf
	SENTINEL_VM_AGENT=${cross:+$work/agent} SENTINEL_VM_BUSYBOX=$busybox SENTINEL_VM_HOOKS=$* SENTINEL_VM_LIMIT_S=$(limit "$@") SENTINEL_VM_TESTS=$pattern \
		SENTINEL_VM_ON_TRAMPOLINES=$on_trampolines \
		tests/vm/boot.sh "${directory[$kernel]}" "$work/suites" "$to/report" "$to/console" "lsm=$list" \
		>"$to/qemu" 2>&1 || status=$?
	echo "$status $((SECONDS - begun))" >"$to/status"
	echo "test-vm: the guest with $kernel and security modules $lsm ended after $((SECONDS - begun)) s"
}

# judge DIRECTORY KERNEL LSM HOOKS...: adds the guest's lines to the results and a row to the summary.
judge() {
	local from=$1 kernel=$2 lsm=$3 status seconds release last trouble='' hooks row good
	shift 3
	local report=$from/report
	read -r status seconds <"$from/status"
	release=$(basename "${directory[$kernel]}")

	last=$(awk -F '\t' '$1 == "begin" { test = $4 " (" $2 ")" } END { print test }' "$report")
	if [ "$status" = 124 ]; then
		trouble="took longer than $(limit "$@") s, lastly with ${last:-starting}"
	elif [ "$status" != 0 ]; then
		trouble="QEMU ended with $status: $(tail -n 1 "$from/qemu")"
	elif ! grep -q '^fact' "$report"; then
		trouble="died before the first test"
	elif ! grep -qx end "$report"; then
		trouble="died in $last"
	elif [ "$(awk -F '\t' '$2 == "lsm" { print $3 ~ /(^|,)bpf(,|$)/ ? "bpf" : "none" }' "$report")" != "$lsm" ]; then
		trouble="has the security modules $(awk -F '\t' '$2 == "lsm" { print $3 }' "$report")"
	elif [ "$(grep -c '^test' "$report")" != "$(tests_with "$@")" ]; then
		trouble="ran $(grep -c '^test' "$report") tests and not $(tests_with "$@")"
	fi

	row=$(printf '%-28s %-5s' "$release" "$lsm")
	for hooks in trampoline syscall; do
		if [[ " $* " != *" $hooks "* ]]; then
			row+=$(printf ' %14s' -)
			continue
		fi
		good=$(awk -F '\t' -v h="$hooks" '$1 == "test" && $2 == h && $5 == "ok" { n++ } END { print n + 0 }' "$report")
		row+=$(printf ' %14s' "$good of ${tests[$hooks]}")
		passed=$((passed + good))
	done
	failed=$((failed + $(awk -F '\t' '$1 == "test" && $5 != "ok" { n++ } END { print n + 0 }' "$report")))
	row+=$(printf ' %7d s' "$seconds")
	rows+=("$row")
	printf 'test-vm: %s\n' "$row"

	awk -F '\t' '$1 == "output" { print "  | " $2 } $1 == "test" && $5 != "ok" { print $5 ": " $3 " " $4 " (" $2 ")" }' \
		"$report"
	if [ -n "$trouble" ]; then
		died=$((died + 1))
		echo "test-vm: the guest $release, security modules $lsm, $trouble"
	fi
	if [ -n "$trouble" ] || grep -q '^output' "$report"; then
		echo "test-vm: the last lines of its kernel:"
		tail -n 25 "$from/console" | tr -d '\r' | sed 's/^/  | /'
	fi
	awk -F '\t' -v OFS='\t' -v kernel="$kernel" -v release="$release" -v lsm="$lsm" '
		$1 == "test" { print kernel, release, lsm, $2, "test", $3 "::" $4, "-", $5 }
		$1 == "class" { print kernel, release, lsm, $2, "class", $3, $4, $5 }' "$report" >>"$results/$kernel.tsv"
}

for guest in "${!guests[@]}"; do
	mkdir "$work/$guest"
	read -r -a what <<<"${guests[$guest]}"
	while [ "$(jobs -pr | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
	boot "$work/$guest" "${what[@]}" &
done
wait
printf 'test-vm: %-28s %-5s %14s %14s %9s\n' kernel lsm trampoline syscall time
for guest in "${!guests[@]}"; do
	read -r -a what <<<"${guests[$guest]}"
	judge "$work/$guest" "${what[@]}"
done

# For the report of `make bench`: both rungs of a kernel in one guest, so that they can be compared.
for guest in "${!guests[@]}"; do
	read -r -a what <<<"${guests[$guest]}"
	[[ ${what[*]} != *" bpf "*"trampoline syscall" ]] || sed -n 's/^cost\t/COST /p' "$work/$guest/report"
done >"$work/costs"
[ ! -s "$work/costs" ] || [ -n "$cross" ] || cp "$work/costs" "$out/guest-cost.log"

if [ "$short" = no ] && [ "${kernels[*]}" = "${all[*]}" ] && [ ${#skipped[@]} = 0 ] && [ "$died" = 0 ] && [ -z "$cross" ]; then
	tests/vm/document.sh "${all[@]/#/$results/}"
	echo "test-vm: wrote docs/kernels.md"
fi

verdict=ok
[ $((failed + died)) = 0 ] || verdict=FAILED
# In the words of Rust's test harness, for whoever adds up.
printf 'test result: %s. %d passed; %d failed; %d guests, %d died; %d s\n' "$verdict" "$passed" $((failed + died)) \
	${#rows[@]} "$died" $((SECONDS - started))
[ "$verdict" = ok ] || exit 1
[ ${#skipped[@]} = 0 ] || unavailable "$(printf '%s; ' "${skipped[@]}" | sed 's/; $//')"
