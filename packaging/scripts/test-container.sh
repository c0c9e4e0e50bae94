#!/usr/bin/env bash
# Tries the container image and what deploys it, without an engine: test-container.sh
#
# 1. The image's root directory is made by the script that the Dockerfile calls, and the agent is run from it by crun with
#    the capabilities, mounts and environment that the DaemonSet has (tests/container/agent.sh). That the Dockerfile adds
#    nothing to it is read in the Dockerfile.
# 2. Manifests, chart and compose file are rendered, validated and compared (tests/container/manifests.sh).
#
# SENTINEL_BINARY names a binary that is already built. Not tried: an engine's seccomp and AppArmor profiles, kubelet and
# Docker themselves. Ends with 77 if something is missing here, whose reason is the last line.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/container/lib.sh

unavailable() {
	echo "test-container: $*"
	exit 77
}

[ "$(id -u)" = 0 ] || unavailable "running a container with these capabilities needs root"
[ -r /sys/kernel/btf/vmlinux ] || unavailable "this kernel has no BTF"
for tool in crun jq yq curl unshare setpriv readelf; do
	command -v "$tool" >/dev/null || unavailable "needs $tool (packaging/scripts/bootstrap.sh container)"
done

# There are two programs of this name; that of Debian speaks jq's language.
echo 'a: [1]' | yq .a 2>/dev/null | jq -e . >/dev/null || unavailable "needs the yq that wraps jq (Debian's, or yq of PyPI)"

tools=${CARGO_TARGET_DIR:-target}/tools/container
packaging/scripts/container-tools.sh "$tools" || echo "test-container: some validators cannot be had; what they would check is left out"
PATH=$PATH:$(realpath -m "$tools")/bin:$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools:$PWD/target/tools
export PATH

binary=${SENTINEL_BINARY:-}
if [ -z "$binary" ]; then
	packaging/scripts/build.sh
	binary=${CARGO_TARGET_DIR:-target}/release/sentinel-edge
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf '\n== the image\n'
# Instructions of the last stage, one a line.
sed -e ':a' -e '/\\$/{N;s/\\\n[[:space:]]*//;ba}' packaging/container/Dockerfile | sed -n '/^FROM scratch$/,$p' | sed '/^#/d; /^$/d' >"$work/stage"
same "the last stage is made of nothing but the directory that rootfs.sh made" "COPY --from=build /image/ /" \
	"$(grep -E '^(COPY|ADD|RUN|FROM|VOLUME|EXPOSE|ONBUILD)' "$work/stage" | sed 1d)"
check "the build stage calls rootfs.sh for it" grep -q 'packaging/container/rootfs\.sh target/release/sentinel-edge /image$' packaging/container/Dockerfile
same "the image starts as root, to which alone capabilities are given" "USER 0:0" "$(grep '^USER' "$work/stage")"
instruction() {
	sed -n "s/^$1 //p" "$work/stage"
}
jq -n --argjson entrypoint "$(instruction ENTRYPOINT)" --argjson command "$(instruction CMD)" \
	--argjson healthcheck "$(instruction HEALTHCHECK | sed 's/.*CMD //')" --arg environment "$(instruction ENV)" \
	'{$entrypoint, $command, $healthcheck, environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", $environment]}' \
	>"$work/image.json"

packaging/container/rootfs.sh "$binary" "$work/root"
same "no program but the agent is in it" "/usr/bin/sentinel-edge" \
	"$(find "$work/root" -type f -perm /111 ! -path '*/lib*/*' -printf '/%P\n')"
same "nothing in it has a setuid or setgid bit" "" "$(find "$work/root" -perm /6000)"
echo "the image has $(du -sk --apparent-size "$work/root" | cut -f1) kB"

# What the builder is given has all that Cargo.toml names.
mkdir "$work/context"
mapfile -t context < <(sed -n 's/^!//p' .dockerignore)
cp -r "${context[@]}" "$work/context"
check "the build context has what Cargo needs" cargo metadata --quiet --locked --no-deps --format-version 1 --manifest-path "$work/context/Cargo.toml"
while read -r script; do
	check "the build context has $script" test -x "$work/context/$script"
done < <(grep -oE 'packaging/[a-z/-]+\.sh' packaging/container/Dockerfile | sort -u)

printf '\n== the agent in a container\n'
yq . packaging/kubernetes/base/daemonset.yaml >"$work/daemonset.json"
# The hash that kustomize adds to the name of the configuration is not wanted here.
kubectl kustomize packaging/kubernetes/overlays/scrape 2>/dev/null | yq 'select(.kind == "DaemonSet")' |
	sed 's/"sentineledge-config-[^"]*"/"sentineledge-config"/' >"$work/scrape.json" || rm -f "$work/scrape.json"
unshare --mount --propagation private tests/container/agent.sh "$work" | tee "$work/said"
read -r _ ok bad left < <(grep '^agent: ' "$work/said" || echo "agent: 0 1 0")
passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + left))

printf '\n== manifests\n'
. tests/container/manifests.sh

printf '\ntest-container: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
echo "test result: $([ "$failed" = 0 ] && echo ok || echo FAILED). $passed passed; $failed failed;"
[ "$failed" = 0 ]
