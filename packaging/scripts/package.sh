#!/usr/bin/env bash
# Builds the packages and leaves them in target/package: .deb, .rpm, a tarball with an install script, the list of what is
# in the binary (CycloneDX), and checksums. Those for another machine, which ARCH names, are left in target/package-ARCH.
#
# One table, packaging/package/contents, says what is installed where, for all of them. The trees are packed by Debian's
# and RPM's own tools. Two builds of a commit give the same bytes: times are those of the commit, names are sorted, and the
# binary holds no path of this machine.
set -euo pipefail
cd "$(dirname "$0")/../.."

source=packaging/package
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# The time of the commit; of the change log's file where there is no repository.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -c safe.directory="$PWD" log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH TZ=UTC LC_ALL=C
umask 022

packaging/scripts/build.sh
arch=${ARCH:-$(uname -m)}
built=${CARGO_TARGET_DIR:-target}
# The binary writes its manual itself, on an emulated machine if need be.
if [ "$arch" = "$(uname -m)" ]; then
	target=$(rustc -vV | sed -n 's/^host: //p')
	out=$built/package
	emulator=
else
	target=$arch-unknown-linux-gnu
	out=$built/package-$arch
	emulator=qemu-$arch-static
	PATH=$PWD/target/tools:$PATH
fi
binary=$(realpath "$built/$target/release/sentinel-edge")
rm -rf "$out"
mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

case $arch in
x86_64) deb_arch=amd64 rpm_arch=x86_64 ;;
aarch64) deb_arch=arm64 rpm_arch=aarch64 ;;
*)
	echo "package: there are no packages for $arch" >&2
	exit 1
	;;
esac

generated=$work/generated
mkdir -p "$generated/man"
agent() {
	${emulator:+"$emulator"} "$binary" "$@"
}
agent man "$generated/man" >/dev/null
agent completions bash >"$generated/sentinel-edge.bash"
agent completions zsh >"$generated/_sentinel-edge"
agent completions fish >"$generated/sentinel-edge.fish"

# put FROM TO MODE: a file into the tree.
put() {
	install -D -m "$3" "$1" "$2"
}

# Fills a tree by the table, and lists its directories, files and configuration files for whoever packs it.
stage() {
	local root=$1 path from mode kind file
	while IFS='|' read -r path from mode kind; do
		path=${path//[[:space:]]/} from=${from//[[:space:]]/} mode=${mode//[[:space:]]/} kind=${kind//[[:space:]]/}
		[[ $path == /* ]] || continue
		from=${from/@binary@/$binary}
		from=${from/@generated@/$generated}
		case $kind in
		dir)
			install -d -m "$mode" "$root$path"
			printf '%s %s\n' "$mode" "$path" >>"$work/dirs"
			;;
		file) put "$from" "$root$path" "$mode" ;;
		conf)
			put "$from" "$root$path" "$mode"
			printf '%s %s\n' "$mode" "$path" >>"$work/confs"
			;;
		man | doc)
			if [ -f "$from" ]; then
				put "$from" "$root$path" "$mode"
				continue
			fi
			for file in "$from"/*; do
				put "$file" "$root$path/$(basename "$file")" "$mode"
				[ "$kind" = doc ] || gzip -9n "$root$path/$(basename "$file")"
			done
			;;
		*)
			echo "package: $source/contents: $path: the kind is none of dir, file, conf, man and doc: $kind" >&2
			exit 1
			;;
		esac
	done <"$source/contents"
	# Every time in the tree is that of the commit.
	find "$root" -depth -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

tree=$work/tree
stage "$tree"
installed_kb=$(du -sk --apparent-size "$tree" | cut -f1)
if [ "$installed_kb" -gt 15000 ]; then
	echo "package: $installed_kb kB are installed; 15000 are allowed" >&2
	exit 1
fi

deb() {
	local root=$work/deb doc
	cp -a "$tree" "$root"
	doc=$root/usr/share/doc/sentineledge
	put "$source/deb/copyright" "$doc/copyright" 0644
	{
		printf 'sentineledge (%s) unstable; urgency=medium\n\n' "$version"
		printf '  * See CHANGELOG.md for what is new.\n\n'
		printf ' -- SentinelEdge maintainers <maintainers@sentineledge.invalid>  %s\n' "$(date -uR -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$doc/changelog.gz"
	put CHANGELOG.md "$doc/CHANGELOG.md" 0644
	put "$source/deb/lintian-overrides" "$root/usr/share/lintian/overrides/sentineledge" 0644
	install -d -m 0755 "$root/DEBIAN"
	sed -e "s/@version@/$version/" -e "s/@arch@/$deb_arch/" -e "s/@size@/$installed_kb/" "$source/deb/control" >"$root/DEBIAN/control"
	put "$source/deb/apparmor" "$root/etc/apparmor.d/sentineledge" 0644
	{
		cut -d' ' -f2 "$work/confs"
		echo /etc/apparmor.d/sentineledge
	} >"$root/DEBIAN/conffiles"
	for script in postinst prerm postrm; do
		put "$source/deb/$script" "$root/DEBIAN/$script" 0755
	done
	(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | sort | xargs -d '\n' md5sum) >"$root/DEBIAN/md5sums"
	chmod 0644 "$root"/DEBIAN/{control,conffiles,md5sums}
	find "$root" -depth -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	dpkg-deb --root-owner-group -Zxz --build "$root" "$out/sentineledge_${version}_$deb_arch.deb" >/dev/null
}

rpm() {
	local root=$work/rpm mode path
	mkdir -p "$root/tree"
	cp -a "$tree/." "$root/tree"
	# RPM has a directory of its own for licences, and compresses nothing twice.
	put LICENSE "$root/tree/usr/share/licenses/sentineledge/LICENSE" 0644
	put "$source/rpm/sentineledge.cil" "$root/tree/usr/share/selinux/packages/sentineledge.cil" 0644
	mkdir -p "$root/tree/usr/share/zsh/site-functions"
	mv "$root/tree/usr/share/zsh/vendor-completions/_sentinel-edge" "$root/tree/usr/share/zsh/site-functions/"
	rmdir "$root/tree/usr/share/zsh/vendor-completions"
	find "$root/tree" -depth -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	{
		while read -r mode path; do
			printf '%%dir %%attr(%s,root,root) %s\n' "$mode" "$path"
		done <"$work/dirs"
		while read -r mode path; do
			printf '%%config(noreplace) %%attr(%s,root,root) %s\n' "$mode" "$path"
		done <"$work/confs"
		# Directories of our own; the others belong to the system.
		(cd "$root/tree" && find usr/share/doc/sentineledge usr/share/licenses/sentineledge -type d -printf '%%dir /%p\n' | sort)
		find "$root/tree" -type f -printf '/%P\n' | sort | grep -vxFf <(cut -d' ' -f2 "$work/confs") |
			sed -e 's|^/usr/share/doc/|%doc &|' -e 's|^/usr/share/licenses/|%license &|'
	} >"$root/files"
	rpmbuild -bb --quiet --nodeps --target "$rpm_arch" \
		--define "_topdir $root/top" --define "_rpmdir $out" --define '_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
		--define "version_of_agent $version" \
		--define "date_of_release $(date -u -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" --define "staged_tree $root/tree" --define "file_list $root/files" \
		--define '_buildhost reproducible' --define 'use_source_date_epoch_as_buildtime 1' \
		--define 'clamp_mtime_to_source_date_epoch 1' --define '_binary_payload w9.gzdio' \
		"$source/rpm/sentineledge.spec"
}

tarball() {
	local name=sentineledge-$version-$rpm_arch
	mkdir -p "$work/$name"
	cp -a "$tree" "$work/$name/root"
	put "$source/install.sh" "$work/$name/install.sh" 0755
	cp LICENSE CHANGELOG.md "$work/$name/"
	{ sed 's/^/dir /' "$work/dirs" && sed 's/^/conf /' "$work/confs"; } >"$work/$name/kept"
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=gnu \
		-C "$work" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
}

# What crates the binary is made of: those that a normal build for this machine takes, not those of tests.
sbom() {
	cargo tree --locked --edges normal --target "$target" --prefix none --format '{p}' --no-dedupe |
		sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/p' | sort -u >"$work/crates"
	cargo metadata --locked --format-version 1 --filter-platform "$target" |
		jq --rawfile crates "$work/crates" --arg version "$version" \
			--arg time "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" -f "$source/cyclonedx.jq" \
			>"$out/sentineledge-$version.cdx.json"
}

deb
if command -v rpmbuild >/dev/null; then
	rpm
else
	echo "package: no rpmbuild here, so no .rpm (packaging/scripts/bootstrap.sh package)" >&2
fi
tarball
sbom
(cd "$out" && sha256sum -- *.deb *.rpm *.tar.gz *.json 2>/dev/null >SHA256SUMS)
du -h --apparent-size "$out"/* | sed "s|$out|target/$(basename "$out")|"
echo "package: $installed_kb kB installed"
