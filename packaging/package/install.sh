#!/bin/sh
# Installs the agent from this directory, upgrades it, or removes it: install.sh [--uninstall [--purge]]
#
# DESTDIR=DIR installs below a directory and touches no service. Configuration files that were changed are kept; the new
# ones come beside them, with .new behind the name.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=${DESTDIR:-}
unit=sentineledge.service

say() {
	echo "install: $*"
}

runs_systemd() {
	[ -z "$root" ] && [ -d /run/systemd/system ]
}

[ -n "$root" ] || [ "$(id -u)" = 0 ] || {
	echo "install: needs root: sudo $0 $*" >&2
	exit 1
}

if [ "${1:-}" = --uninstall ]; then
	runs_systemd && systemctl disable --now $unit 2>/dev/null
	cd "$here/root"
	find . -type f | while read -r file; do
		file=${file#.}
		grep -q " $file\$" "$here/kept" || rm -f "$root$file"
	done
	rm -rf "$root/usr/share/doc/sentineledge"
	if [ "${2:-}" = --purge ]; then
		rm -rf "$root/etc/sentineledge" "$root/var/lib/sentineledge" "$root/var/log/sentineledge"
		say "removed, with configuration, state and logs"
	else
		say "removed; configuration, state and logs are still there (--purge)"
	fi
	runs_systemd && systemctl daemon-reload
	exit 0
fi
[ $# = 0 ] || {
	echo "install: $0 [--uninstall [--purge]]" >&2
	exit 2
}

cd "$here/root"
grep '^dir ' "$here/kept" | while read -r _ mode path; do
	mkdir -p "$root$path"
	chmod "$mode" "$root$path"
done
find . -type f | while read -r file; do
	file=${file#.}
	to=$root$file
	mkdir -p "$(dirname "$to")"
	if grep -q "^conf [0-7]* $file\$" "$here/kept" && [ -e "$to" ] && ! cmp -s ".$file" "$to"; then
		cp -p ".$file" "$to.new"
		say "$file was changed here and is kept; the new one is $file.new"
		continue
	fi
	# Beside and into place at once, so that a running program is never written to.
	cp -p ".$file" "$to.$$"
	[ -n "$root" ] || chown 0:0 "$to.$$"
	mv -f "$to.$$" "$to"
done
if runs_systemd; then
	systemctl daemon-reload
	systemctl enable $unit
	systemctl restart $unit
	say "started; curl http://localhost:8080/health says how it is"
else
	say "installed; no systemd runs here, so nothing was started"
fi
