#!/bin/sh
# Unpacks the programs that the attacks use and this host lacks into a directory, for a layer over the host's root:
# layer.sh DIRECTORY. Nothing is installed. Needs apt and the archive; where there is neither, the attacks that want
# them go on without, and the test says which.
set -eu

directory=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
packages=
want() {
	command -v "$1" >/dev/null || packages="$packages $2"
}
want sudo sudo
want ed ed
want at at
want crontab cron
want dmidecode dmidecode
want zip zip
want gpg gpg
want telnet inetutils-telnet
want setcap libcap2-bin
want iptables 'iptables libxtables12 libmnl0 libnftnl11 libnetfilter-conntrack3 libnfnetlink0 libip4tc2 libip6tc2'
[ -n "$packages" ] || {
	mkdir -p "$directory"
	exit 0
}
cd "$work"
# Without the option apt, as root, downloads as a user that may not write here, and complains.
# shellcheck disable=SC2086 # One word a package.
apt-get download -qq -o APT::Sandbox::User=root $packages
mkdir unpacked
for package in *.deb; do
	dpkg-deb -x "$package" unpacked
done
# A directory would hide the link of the same name below.
for name in bin sbin lib; do
	if [ -d "unpacked/$name" ] && [ -L "/$name" ]; then
		mkdir -p "unpacked/usr/$name"
		cp -a "unpacked/$name/." "unpacked/usr/$name/"
		rm -rf "unpacked/$name"
	fi
done
# What the packages' scripts would link.
if [ -e unpacked/usr/sbin/xtables-nft-multi ]; then
	for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
		ln -s xtables-nft-multi "unpacked/usr/sbin/$name"
	done
fi
[ ! -e unpacked/usr/bin/inetutils-telnet ] || ln -s inetutils-telnet unpacked/usr/bin/telnet
rm -rf unpacked/usr/share/doc unpacked/usr/share/man unpacked/usr/share/locale
# Only a whole one counts as there.
mkdir -p "$(dirname "$directory")"
rm -rf "$directory"
mv unpacked "$directory"
