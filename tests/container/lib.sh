# shellcheck shell=bash
# What the parts of the container test share: one line for each check, and the sums.

passed=0 failed=0 skipped=0

ok() {
	echo "ok: $*"
	passed=$((passed + 1))
}

bad() {
	echo "FAILED: $*"
	failed=$((failed + 1))
}

# skip WHAT: nothing here can check it.
skip() {
	echo "left out: $*"
	skipped=$((skipped + 1))
}

# check WHAT COMMAND...: the command says whether it is so; what it printed is shown if it is not.
check() {
	local what=$1 said
	shift
	if said=$("$@" 2>&1); then
		ok "$what"
	else
		bad "$what"
		printf '%s\n' "$said" | tail -n 20 | sed 's/^/  /'
	fi
}

# same WHAT WANTED FOUND
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		bad "$1"
		printf '  %s\n' "wanted: $2" "found:  $3"
	fi
}
