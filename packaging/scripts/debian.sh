# shellcheck shell=bash
# Packages of Debian, for scripts that unpack some into a directory of their own; read by them, not run by itself.
#
# apt works on lists of its own, so that the machine's are neither read nor changed, and checks signatures and sums.
# Sets options, the arguments of apt-get and apt-cache; and mirror, the archive that is asked.
# shellcheck disable=SC2034  # the reader uses them

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The mirror that this machine uses, if it is a Debian; else the one that leads to a near one.
# shellcheck disable=SC2016  # apt fills in the variables
mirror=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null | sed -n 's/^Debian //p' | sort -u | head -n 1)
mirror=${mirror:-http://deb.debian.org/debian}
mirror=${mirror%/}

# use STATE ARCHITECTURES SUITE...: from here on apt knows these suites alone, keeps what it has to know in the
# directory, and means the first of the architectures (parted by commas) where none is named.
use() {
	local state=$1 architectures=$2 suite uri architecture
	shift 2
	mkdir -p "$state"/lists/partial "$state"/cache/archives/partial
	: >"$state/status"
	for suite; do
		uri=$mirror
		case $suite in *-security) uri=$mirror-security ;; esac
		echo "deb [arch=$architectures signed-by=$keyring] $uri $suite main"
	done >"$state/sources.list"
	options=(
		-o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
		-o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status"
		-o Dir::Cache="$state/cache" -o APT::Architecture="${architectures%%,*}" -o APT::Architectures="$architectures"
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
		-o Acquire::Retries=2 -o Acquire::http::Timeout=20 -o APT::Update::Error-Mode=any
	)
	# Root would otherwise download as a user who may not write here.
	[ "$(id -u)" != 0 ] || options+=(-o APT::Sandbox::User=root)
}

# Debian's name of an architecture.
debian_name() {
	case $1 in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	*) return 1 ;;
	esac
}
