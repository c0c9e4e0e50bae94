#!/usr/bin/env bash
# Installs what a purpose needs and this machine lacks: bootstrap.sh PURPOSE...
#
# Purposes: build, lint, test, vm and vm-MACHINE, package, cross, container, guest, bench. Says what it installs and why, asks for root only when something is missing,
# and ends at once when nothing is. Knows apt (Debian, Ubuntu) and dnf (Fedora, RHEL and relatives). No service
# that comes with a package is started.
set -euo pipefail
cd "$(dirname "$0")/../.."

# purpose | how to see that it is there | apt | dnf | why
#   command NAME     on the PATH
#   header NAME      the C compiler finds it
#   library NAME     the linker finds it
#   static NAME      on the PATH, and needs no shared library
#   keyring NAME     in /usr/share/keyrings
# An apt name `:package/program` takes that program out of the package, and installs nothing.
# A dnf name with a question mark may be missing from the enabled repositories: the agent is then linked
# dynamically, and the build says so. A dash stands for what such a system does not have.
table='
build | command cc                  | gcc               | gcc                            | links the agent, compiles the bundled libbpf
build | command clang               | clang             | clang                          | compiles the eBPF programs
build | command llvm-strip          | llvm              | llvm                           | strips debug sections from the eBPF objects
build | command make                | make              | make                           | builds the bundled libbpf
build | command pkg-config          | pkg-config        | pkgconf-pkg-config             | lets the build find libelf and zlib
build | header stdio.h              | libc6-dev         | glibc-devel                    | headers of the C library
build | header linux/bpf.h          | linux-libc-dev    | kernel-headers                 | headers of the kernel interface
build | header libelf.h             | libelf-dev        | elfutils-libelf-devel          | libbpf reads ELF objects with it
build | header zlib.h               | zlib1g-dev        | zlib-devel                     | libelf decompresses sections with it
build | library libelf.a            | libelf-dev        | elfutils-libelf-devel-static ? | one binary that needs no shared library
build | library libz.a              | zlib1g-dev        | zlib-static ?                  | one binary that needs no shared library
build | library libc.a              | libc6-dev         | glibc-static ?                 | one binary that needs no shared library
lint  | command clang-format        | clang-format      | clang-tools-extra              | checks the layout of the eBPF sources
lint  | command shellcheck          | shellcheck        | ShellCheck                     | checks the shell scripts
lint  | command rustfmt             | rustfmt           | rustfmt                        | checks the layout of the Rust sources
lint  | command cargo-clippy        | rust-clippy       | clippy                         | checks the Rust sources
test  | command systemd-analyze     | systemd           | systemd                        | verifies the unit file
test  | command curl                | curl              | curl                           | asks /health as a person would
test  | command promtool            | :prometheus/promtool | /usr/bin/promtool ?         | checks the form of /metrics, and the alerts
test  | command prometheus          | :prometheus/prometheus | /usr/bin/prometheus ?     | scrapes the agent, and answers the dashboard
test  | command amtool              | :prometheus-alertmanager/amtool | /usr/bin/amtool ? | checks the configuration of Alertmanager
test  | command valgrind            | valgrind          | valgrind                       | counts the instructions that rules take
vm-x86_64 | command qemu-system-x86_64 | qemu-system-x86 | qemu-system-x86-core         | runs other kernels
vm-aarch64 | command qemu-system-aarch64 | qemu-system-arm | qemu-system-aarch64-core    | runs other kernels
vm    | static busybox              | busybox-static    | busybox                        | all that a guest has beside the tests
vm    | command cpio                | cpio              | cpio                           | packs what a guest starts with
vm    | command modprobe            | kmod              | kmod                           | finds the modules that a guest loads
vm    | command xz                  | xz-utils          | xz                             | unpacks them
vm    | keyring debian-archive-keyring.gpg | debian-archive-keyring | -          | checks the kernels
package | command dpkg-deb         | dpkg              | dpkg                           | packs the .deb
package | command rpmbuild         | rpm               | rpm-build                      | packs the .rpm
package | command jq               | jq                | jq                             | writes the list of components
cross | command ld.lld             | lld                    | lld                            | links for another machine
cross | command llvm-ar            | llvm                   | llvm                           | packs static libraries for another machine
cross | command qemu-aarch64-static | :qemu-user-static/qemu-aarch64-static | qemu-user-static-aarch64 | runs what was built for it
cross | keyring debian-archive-keyring.gpg | debian-archive-keyring | -              | checks what is fetched for it
container | command crun         | crun                   | crun                           | runs the agent in a container, without an engine
container | command jq           | jq                     | jq                             | reads the manifests
container | command yq           | yq                     | yq                             | reads the manifests
container | command curl         | curl                   | curl                           | asks as the probes do
container | command setpriv      | util-linux             | util-linux                     | runs a process of somebody else
container | command promtool     | :promtool              | /usr/bin/promtool ?            | checks the configuration of Prometheus
container | command docker-compose | docker-compose       | docker-compose ?               | checks the compose file
guest | command mmdebstrap         | mmdebstrap        | -                              | makes the disk of a guest with systemd
guest | command mke2fs             | e2fsprogs         | e2fsprogs                      | puts a file system on it
bench | command auditctl            | auditd            | audit                          | compared with in the benchmarks
bench | command bpftrace            | bpftrace          | bpftrace                       | compared with in the benchmarks
'

die() {
	printf 'bootstrap: %s\n' "$*" >&2
	exit 1
}

say() {
	printf 'bootstrap: %s\n' "$*" >&2
}

trim() {
	local text=$1
	text=${text#"${text%%[![:space:]]*}"}
	printf '%s' "${text%"${text##*[![:space:]]}"}"
}

is_there() {
	local how=$1 name=$2
	case $how in
	# systemd-analyze and auditctl may live where only root's PATH looks.
	command) PATH="$PWD/target/tools:$PATH:/usr/sbin:/sbin" command -v "$name" >/dev/null ;;
	header) command -v cc >/dev/null && echo "#include <$name>" | cc -E -x c - >/dev/null 2>&1 ;;
	static)
		command -v "$name" >/dev/null && ! readelf -lW "$(command -v "$name")" 2>/dev/null | grep -q INTERP
		;;
	keyring) [ -r "/usr/share/keyrings/$name" ] ;;
	# The compiler answers with a path if it knows the file, else with the bare name.
	library) command -v cc >/dev/null && [ "$(cc -print-file-name="$name")" != "$name" ] ;;
	*) die "the table names an unknown kind of check: $how" ;;
	esac
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		# Without a terminal nobody could type a password.
		if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
	else
		die "needs root and there is no sudo; as root, run: $*"
	fi
}

# Debian starts services when it installs them; an exit code of 101 from this file forbids it.
without_services() {
	local policy=/usr/sbin/policy-rc.d status=0
	if [ -e "$policy" ]; then
		"$@"
		return
	fi
	as_root sh -c "printf '#!/bin/sh\nexit 101\n' >$policy && chmod 0755 $policy"
	"$@" || status=$?
	as_root rm -f "$policy"
	return "$status"
}

apt_knows() {
	local package
	for package in "$@"; do
		apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 1
	done
}

apt_update() {
	say "the package lists are missing or old: apt-get update"
	as_root apt-get update -qq || say "apt-get update reported errors; trying with the lists that there are"
}

apt_install() {
	local -a install=(apt-get install -y -qq --no-install-recommends "$@")
	apt_knows "$@" || apt_update
	# A list older than the archive leads to files that are gone.
	without_services as_root env DEBIAN_FRONTEND=noninteractive "${install[@]}" >&2 || {
		apt_update
		without_services as_root env DEBIAN_FRONTEND=noninteractive "${install[@]}" >&2
	}
}

# Tools that come in the package of a server: the program alone is taken out, so that no server is installed.
apt_extract() {
	local package=$1 program=$2 work
	apt_knows "$package" || apt_update
	work=$(mktemp -d)
	# Without the option apt, as root, downloads as a user that may not write here, and complains.
	(cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package" >&2 && dpkg-deb -x "$package"_*.deb .) || {
		rm -rf "$work"
		return 1
	}
	mkdir -p target/tools
	mv "$work/usr/bin/$program" "target/tools/$program"
	rm -rf "$work"
}

dnf_install() {
	local package
	local -a needed=() optional=()
	for package in "$@"; do
		case $package in
		*\?) optional+=("$(trim "${package%\?}")") ;;
		*) needed+=("$package") ;;
		esac
	done
	[ ${#needed[@]} = 0 ] || as_root dnf install -y -q --setopt=install_weak_deps=False "${needed[@]}" >&2
	for package in "${optional[@]}"; do
		# RHEL and relatives keep static libraries in the repository crb, which is off by default.
		as_root dnf install -y -q "$package" >&2 ||
			as_root dnf install -y -q --enablerepo=crb "$package" >&2 ||
			say "$package is not to be had here; going on without it"
	done
}

# The agent needs the version that Cargo.toml names. Whatever compiles the tests (lint and bench do) needs that of
# rsigma-eval, which our engine is compared with.
check_rust() {
	local wanted have
	wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
	[[ ! $1 =~ \ (test|lint|bench)\  ]] || wanted=1.95
	local how="install it with rustup (https://rustup.rs), as the user who builds:
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
	command -v cargo >/dev/null || die "Rust $wanted or newer is needed and there is none: $how"
	have=$(rustc --version | cut -d' ' -f2)
	[ "$(printf '%s\n' "$wanted" "${have%%-*}" | sort -V | head -n 1)" = "$wanted" ] ||
		die "Rust $wanted or newer is needed, this is $have: update it (rustup update), or $how"
}

# With rustup, rustfmt and clippy are components of the toolchain, not packages of the system.
add_rust_components() {
	local tool component
	command -v rustup >/dev/null || return 0
	for tool in rustfmt clippy-driver; do
		component=${tool%-driver}
		"$tool" --version >/dev/null 2>&1 || {
			say "adding the Rust component $component"
			rustup component add "$component" >&2
		}
	done
}

main() {
	[ $# -gt 0 ] || die "usage: bootstrap.sh build|lint|test|vm|bench ..."
	local purposes=" $* " purpose probe apt dnf why how name package
	local -a missing=() reasons=()
	check_rust "$purposes"
	[[ $purposes != *" lint "* ]] || add_rust_components

	local manager=none
	if command -v apt-get >/dev/null; then manager=apt; elif command -v dnf >/dev/null; then manager=dnf; fi

	while IFS='|' read -r purpose probe apt dnf why; do
		purpose=$(trim "$purpose")
		[ -n "$purpose" ] || continue
		[[ $purposes == *" $purpose "* ]] || continue
		read -r how name <<<"$probe"
		is_there "$how" "$name" && continue
		case $manager in
		apt) package=$(trim "$apt") ;;
		dnf) package=$(trim "$dnf") ;;
		none) package=$name ;;
		esac
		[ "$package" != - ] || continue
		[[ " ${missing[*]} " == *" $package "* ]] || {
			missing+=("$package")
			reasons+=("$package: $(trim "$why")")
		}
	done <<<"$table"

	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$manager" != none ] ||
		die "missing: ${missing[*]}; there is neither apt-get nor dnf here, install them by hand"

	say "this machine lacks ${#missing[@]} package(s); installing with $manager:"
	printf '  %s\n' "${reasons[@]#:}" >&2
	if [ "$manager" = dnf ]; then
		dnf_install "${missing[@]}"
		return
	fi
	local -a packages=()
	for package in "${missing[@]}"; do
		case $package in
		:*)
			name=${package#*/} package=${package%/*}
			apt_extract "${package#:}" "$name" || die "cannot fetch $name (package ${package#:})"
			;;
		*) packages+=("$package") ;;
		esac
	done
	[ ${#packages[@]} = 0 ] || apt_install "${packages[@]}"
	# Its package also has it started at every boot, which nobody asked for who only wants to compare.
	if [[ " ${packages[*]} " == *" auditd "* ]] && command -v systemctl >/dev/null; then
		as_root systemctl disable --quiet auditd >&2 || say "auditd stays enabled at boot"
	fi
}

main "$@"
