#!/usr/bin/env bash
# Counts the instructions that judging an event takes, with the built-in rules and those of tests/data, and fails if they
# are more than they were: unlike times, they are the same on a busy machine. Builds the release binary for it.
#
# Valgrind counts all that a run does, so two runs are made that differ in nothing but the passes over the events.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Instructions an event, a tenth above what was counted when the limit was set.
limit=11200
rules=(src/detect/pack tests/data/sigma/process_creation)
events=tests/data/sigma/events.jsonl
few=10 many=40

packaging/scripts/build.sh
binary=target/release/sentinel-edge
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# What so many passes take.
instructions() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$binary" rules bench "${rules[@]}" --events "$events" --passes "$1" >/dev/null 2>"$log" || {
		cat "$log" >&2
		exit 1
	}
	sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p' "$log"
}

count=$(wc -l <"$events")
less=$(instructions $few)
more=$(instructions $many)
each=$(((more - less) / ((many - few) * count)))
echo "rules: $each instructions an event, $limit allowed"
if [ "$each" -gt "$limit" ]; then
	echo "test result: FAILED. 0 passed; 1 failed;"
	exit 1
fi
echo "test result: ok. 1 passed; 0 failed;"
