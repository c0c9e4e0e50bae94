#!/bin/sh
# Records benign work: record.sh DIRECTORY. Needs root, BPF, debootstrap, Debian's archive, a Rust toolchain and the built
# agent (AGENT, target/debug/sentinel-edge if not given). DIRECTORY gets a Debian system (base, kept for the next time), a
# copy of it in which the work is done, and the recording, capture. It takes about ten minutes.
#
# The recording has all that this host did meanwhile, and its names. `cargo test --test benign` with
# BENIGN_CAPTURE=DIRECTORY/capture takes the work alone out of it, without those names, into tests/data/benign.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
directory=$1
agent=${AGENT:-$here/../../target/debug/sentinel-edge}
toolchain=$(rustc --print sysroot)
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
if [ ! -e "$directory/base/etc/debian_version" ]; then
	debootstrap --variant=minbase \
		--include=procps,iproute2,ca-certificates,git,gcc,libc6-dev,make,systemd,man-db,less,python3-pip,python3-setuptools,curl,adduser,locales,openssh-client,sudo \
		bookworm "$directory/base" http://deb.debian.org/debian
fi
rm -rf --one-file-system "$directory/root"
cp -a "$directory/base" "$directory/root"
printf '[core]\nstate_dir = "%s/state"\nruntime_dir = "%s/run"\n[logging]\nlog_file = "%s/log/sentinel.log"\n' \
	"$directory" "$directory" "$directory" >"$directory/config.toml"
chmod 600 "$directory/config.toml"
"$agent" record --force "$directory/capture" --config "$directory/config.toml" &
recorder=$!
# Until it is attached.
while ! [ -s "$directory/capture" ]; do sleep 0.2; done
sleep 1
unshare --mount --propagation private --pid --fork --kill-child --ipc --uts --cgroup \
	sh "$here/root.sh" "$directory/root" "$toolchain" </dev/null >"$directory/said" 2>&1 || echo "the work ended with $?"
sleep 1
kill -INT "$recorder"
wait "$recorder"
grep '^==' "$directory/said"
