#!/bin/sh
# Runs one attack in its root, between two marks that the agent sees.
set -u

at=/opt/attack
mark=$(cat $at/mark)
shell=$(cat $at/executor)
seconds=$(cat $at/timeout)
"$shell" $at/setup </dev/null
/bin/true "begin-$mark"
timeout -k 2 "$seconds" "$shell" $at/command </dev/null
echo "the command ended with $?"
# What it left in the background may still do something.
sleep 0.3
/bin/true "end-$mark"
timeout -k 2 30 "$shell" $at/cleanup </dev/null >/dev/null 2>&1
exit 0
