# shellcheck shell=sh
# What the commands in the guests share: steps that are told, checks that count, waits that end.

# shellcheck disable=SC2034 # the commands use it
unit=sentineledge.service
log=/var/log/sentineledge/sentinel.log
passed=0 failed=0

# check WHAT COMMAND...: the command must succeed.
check() {
	what=$1
	shift
	if output=$("$@" 2>&1); then
		passed=$((passed + 1))
		echo "ok: $what"
	else
		failed=$((failed + 1))
		echo "FAILED: $what: $*"
		printf '%s\n' "$output" | tail -n 12 | sed 's/^/  | /'
	fi
}

# within SECONDS COMMAND...: the command must succeed by then; sets `took`, in tenths of a second.
within() {
	limit=$(($1 * 10))
	shift
	took=0
	until "$@" >/dev/null 2>&1; do
		[ "$took" -lt "$limit" ] || return 1
		sleep 0.1
		took=$((took + 1))
	done
}

answers() {
	curl -fsS --max-time 2 http://localhost:8080/health
}

is() {
	[ "$1" = "$2" ] || {
		echo "found '$1', expected '$2'"
		return 1
	}
}

# has FILE TEXT
has() {
	grep -qF -- "$2" "$1"
}

# A program whose argument must come back from the log.
seen() {
	/bin/true "$1"
	within 15 has "$log" "$1"
}

# Debian's RPM asks to be sure until 4.18; newer ones don't know the question.
on_debian() {
	rpm --force-debian --version >/dev/null 2>&1 && set -- --force-debian "$@"
	rpm "$@"
}

finish() {
	echo "test result: $([ $failed = 0 ] && echo ok || echo FAILED). $passed passed; $failed failed;"
	[ $failed = 0 ]
	exit
}
