#!/bin/sh
# Runs attacks one after the other, each in a root of its own: runner.sh FIFO. A line of the fifo is a directory with
# the attack: its scripts, and what root.sh wants to know of it. Its file `done` says that it is over.
#
# It is started before the agent, and by a parent that is gone: what it runs has neither cargo nor make among its
# ancestors, as an attack has not.
set -u

here=$(cd "$(dirname "$0")" && pwd)
while read -r directory; do
	env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin USER=root LOGNAME=root \
		unshare --mount --propagation private --pid --fork --kill-child --net --ipc --uts \
		sh "$here/root.sh" "$directory" </dev/null >"$directory/said" 2>&1
	echo "$?" >"$directory/done"
done <"$1"
