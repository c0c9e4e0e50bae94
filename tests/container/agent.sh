#!/usr/bin/env bash
# Runs the agent in a container, as the DaemonSet says, and looks at what it does: agent.sh WORK
#
# To be started as root in a mount namespace of its own. WORK has root/ (the image's root directory), image.json (what
# the Dockerfile says beside), daemonset.json, and scrape.json (the overlay's) if it could be rendered. The runtime is
# crun, which needs no engine.
#
# The node of this test has version 2 of control groups alone, as current ones do: the hierarchy is mounted anew in this
# namespace. A process of an imagined pod runs before the agent starts, and the agent runs in a group, and with a view of
# groups, of its own, so that it has to find the pod's name from there.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/container/lib.sh
work=$1

node='node-7.test'
pod=11111111-2222-3333-4444-$(printf %012d $$)
container=$(printf '%s' "$pod" | sha256sum | cut -d' ' -f1)
name=sentineledge-test-$$
runtime=(crun --root "$work/crun" --cgroup-manager=disabled)

umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
slice=/sys/fs/cgroup/kubepods-burstable-pod${pod//-/_}.slice
scope=$slice/cri-containerd-$container.scope
own=/sys/fs/cgroup/$name.scope
mkdir -p "$scope" "$own"

clean() {
	"${runtime[@]}" delete -f "$name" >/dev/null 2>&1 || true
	# The loop, then what it waits for.
	[ -z "${other:-}" ] || kill "$other" 2>/dev/null || true
	xargs -r kill <"$scope/cgroup.procs" 2>/dev/null || true
	wait || true
	echo $$ >/sys/fs/cgroup/cgroup.procs
	rmdir "$scope" "$slice" "$own" || true
}
trap clean EXIT

mapfile -t healthcheck < <(jq -r '.healthcheck[]' "$work/image.json")

free_port() {
	local port
	while port=$((20000 + RANDOM % 20000)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

# What kubelet would have put on the node. The ports are others, as an agent of this machine may have those.
log=$work/scratch/node/var/log/sentineledge/sentinel.log
health=$(free_port) metrics=$(free_port)
mkdir -p "$work/scratch/node"/{var/log,var/lib,run}/sentineledge "$work/scratch/configmaps"/sentineledge-{config,rules/..1}
sed -e "s/9090/$metrics/" -e "s/8080/$health/" packaging/kubernetes/base/config.toml \
	>"$work/scratch/configmaps/sentineledge-config/config.toml"
# The layout of a ConfigMap's volume: links to a hidden directory that is replaced as a whole.
cat >"$work/scratch/configmaps/sentineledge-rules/..1/mine.yml" <<-'RULE'
	title: A rule from a ConfigMap
	id: 0d6f1d0c-4b8e-4a6b-9a2c-3f1f5b0a7c11
	status: test
	description: For the test of the container.
	author: SentinelEdge
	date: 2026-01-01
	logsource: {product: linux, category: process_creation}
	detection:
	  it:
	    CommandLine|contains: marked-by-the-container-test
	  condition: it
	level: high
RULE
ln -s ..1 "$work/scratch/configmaps/sentineledge-rules/..data"
ln -s ..data/mine.yml "$work/scratch/configmaps/sentineledge-rules/mine.yml"

# bundle FILTER [DAEMONSET]: the runtime's configuration, changed by a filter of jq.
bundle() {
	mkdir -p "$work/bundle"
	jq --argjson image "$(cat "$work/image.json")" --arg root "$work/root" --arg scratch "$work/scratch" \
		--arg node "$node" -f tests/container/bundle.jq "$work/${2:-daemonset.json}" | jq "$1" >"$work/bundle/config.json"
}

# start [DAEMONSET]: runs the agent in the background, as `agent`, and waits until it is ready, or cannot be any more.
start() {
	local deadline=$((SECONDS + 90))
	bundle . "$@"
	"${runtime[@]}" run --bundle "$work/bundle" --pid-file "$work/pid" "$name" >"$work/out" 2>&1 &
	agent=$!
	until inside "${healthcheck[@]}" --ready >/dev/null 2>&1 || [ $SECONDS -gt $deadline ] || ! kill -0 "$agent" 2>/dev/null; do
		sleep 1
	done
}

# without CAPABILITY FILTER: the bundle less this capability.
without() {
	bundle ".process.capabilities |= map_values(. - [\"CAP_$1\"]) | $2"
}

# What doctor says of the host without a capability.
doctor() {
	without "$1" '.process.args = ["/usr/bin/sentinel-edge", "doctor"]'
	"${runtime[@]}" run --bundle "$work/bundle" "$name-doctor" 2>&1 || true
}

# What the agent is blind to without a capability, once it watches.
blind() {
	local deadline=$((SECONDS + 90)) run
	without "$1" .
	"${runtime[@]}" run --bundle "$work/bundle" "$name" >"$work/blind" 2>&1 &
	run=$!
	until inside /usr/bin/sentinel-edge health >/dev/null 2>&1 || [ $SECONDS -gt $deadline ] || ! kill -0 $run 2>/dev/null; do
		sleep 1
	done
	inside /usr/bin/sentinel-edge health --ready 2>/dev/null | grep blind | sort -u
	"${runtime[@]}" kill "$name" TERM >/dev/null 2>&1 || true
	wait $run || true
}

inside() {
	"${runtime[@]}" exec "$name" "$@"
}

events() {
	jq -c "select($1)" "$log"
}

# ---- Each capability is needed: without it, doctor says something else, or the agent that something cannot be seen.
whole=$(doctor NONE)
check "doctor finds no obstacle" grep -q '^The agent can run here' <<<"$whole"
for capability in $(jq -r '.spec.template.spec.containers[0].securityContext.capabilities.add[]' "$work/daemonset.json"); do
	if [ "$(doctor "$capability")" != "$whole" ] || [ -n "$(blind "$capability")" ]; then
		ok "CAP_$capability is needed"
	else
		bad "CAP_$capability is granted and not needed: doctor and the agent say the same without it"
	fi
done
rm -f "$log"

# ---- Somebody else's process, there before the agent: in a group of a pod, as another user, with a marked argument.
(
	echo "$BASHPID" >"$scope/cgroup.procs"
	while sleep 1; do
		setpriv --reuid nobody --clear-groups /usr/bin/env true marked-by-the-container-test || true
	done
) &
other=$!

# ---- The agent.
echo $$ >"$own/cgroup.procs"
start
check "the image's HEALTHCHECK says that the agent is well" inside "${healthcheck[@]}"
check "it is ready: an exec of its own came back from the log on the node" inside "${healthcheck[@]}" --ready
[ -s "$work/pid" ] || {
	sed 's/^/  /' "$work/out"
	bad "the agent does not run"
	echo "agent: $passed $failed $skipped"
	exit 0
}
pid=$(cat "$work/pid")

for probe in livenessProbe readinessProbe; do
	url=$(jq -r ".spec.template.spec.containers[0].$probe.httpGet | \"http://\(.host):\(.port)\(.path)\"" "$work/daemonset.json")
	check "the $probe succeeds: $url" curl -fsS --max-time 5 -o /dev/null "${url/8080/$health}"
done
check "metrics are served on loopback" curl -fsS --max-time 5 -o /dev/null "http://127.0.0.1:$metrics/metrics"

field() {
	sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"
}
mask=0
declare -A number=([DAC_READ_SEARCH]=2 [NET_ADMIN]=12 [SYS_PTRACE]=19 [SYS_RESOURCE]=24 [PERFMON]=38 [BPF]=39)
for capability in $(jq -r '.spec.template.spec.containers[0].securityContext.capabilities.add[]' "$work/daemonset.json"); do
	mask=$((mask | 1 << number[$capability]))
done
for set in CapPrm CapEff CapBnd; do
	same "$set has the manifest's capabilities and no other" "$(printf %016x $mask)" "$(field $set)"
done
same "no ambient capabilities" 0000000000000000 "$(field CapAmb)"
same "no new privileges" 1 "$(field NoNewPrivs)"
writable=$(awk '$6 ~ /^rw/ && $5 !~ "^/(dev|proc|var/log/sentineledge|var/lib/sentineledge|run/sentineledge)(/|$)" { print $5 }' "/proc/$pid/mountinfo")
same "nothing is writable but log, state and socket" "" "$writable"

marked='.event.action == "exec" and (.process.args // [] | index("marked-by-the-container-test"))'
deadline=$((SECONDS + 20))
until [ -n "$(events "$marked and .event.kind == \"event\"")" ] || [ $SECONDS -gt $deadline ]; do
	sleep 1
done
event=$(events "$marked and .event.kind == \"event\"" | tail -n 1)
ask() {
	jq -r "$1 // \"\"" <<<"${event:-{\}}"
}
same "an exec of another container is in the log" marked-by-the-container-test "$(ask '.process.args[-1]')"
same "with the container that it ran in" "$container" "$(ask .container.id)"
same "with the name of the node" "$node" "$(ask .host.name)"
same "with the name of its user, by the node's passwd" nobody "$(ask .user.name)"
same "with the machine's id" "$(cat /etc/machine-id 2>/dev/null || true)" "$(ask .host.id)"
if [ -r /proc/1/root/etc/os-release ]; then
	same "with the host's distribution" "$(sed -n 's/^NAME="\?\([^"]*\)"\?$/\1/p' /etc/os-release)" "$(ask .host.os.name)"
else
	skip "host.os: process 1 of this machine lets nobody look at its root directory"
fi
check "a rule from a ConfigMap fires" grep -q '"0d6f1d0c-4b8e-4a6b-9a2c-3f1f5b0a7c11"' "$log"

# ---- The end.
grace=$(jq -r .spec.template.spec.terminationGracePeriodSeconds "$work/daemonset.json")
"${runtime[@]}" kill "$name" TERM
begun=$SECONDS status=0
while kill -0 "$agent" 2>/dev/null && [ $((SECONDS - begun)) -le "$grace" ]; do
	sleep 0.2
done
if kill -0 "$agent" 2>/dev/null; then
	bad "it did not end within the grace of $grace s"
else
	wait "$agent" || status=$?
	same "it ends on SIGTERM within the grace, with" 0 "$status"
fi
same "the log's last line tells of the end" agent_stopped "$(tail -n 1 "$log" | jq -r .event.action)"

# ---- Metrics over the network: the overlay, with Secrets as kubelet has them.
if [ -s "$work/scrape.json" ]; then
	secrets=$work/scratch/secrets
	mkdir -p "$work/made" "$secrets"/sentineledge-{tls,token}
	cp packaging/container/secrets.sh "$work/made"
	"$work/made/secrets.sh" >/dev/null
	install -m 0400 "$work/made/secrets/agent-cert.pem" "$secrets/sentineledge-tls/tls.crt"
	install -m 0400 "$work/made/secrets/agent-key.pem" "$secrets/sentineledge-tls/tls.key"
	install -m 0400 "$work/made/secrets/agent-token" "$secrets/sentineledge-token/token"
	sed -e "s/9090/$metrics/" -e "s/8080/$health/" packaging/kubernetes/overlays/scrape/config.toml \
		>"$work/scratch/configmaps/sentineledge-config/config.toml"
	start scrape.json
	check "with the overlay for metrics the agent is ready, too" inside "${healthcheck[@]}" --ready
	url=$(jq -r '.spec.template.spec.containers[0].readinessProbe.httpGet | "\(.scheme)://\(.host):\(.port)\(.path)"' "$work/scrape.json")
	check "its probe succeeds: $url" curl --insecure -fsS --max-time 5 -o /dev/null "${url/8080/$health}"
	# As packaging/container/prometheus.yml has it: this certificate is the authority, and this the name.
	fetch=(curl -sS --max-time 5 -o /dev/null -w '%{http_code}' --cacert "$secrets/sentineledge-tls/tls.crt"
		--resolve "sentineledge:$metrics:127.0.0.1" "https://sentineledge:$metrics/metrics")
	same "metrics are served to who has the token" 200 \
		"$("${fetch[@]}" --header "Authorization: Bearer $(cat "$secrets/sentineledge-token/token")")"
	same "and to nobody else" 401 "$("${fetch[@]}")"
	"${runtime[@]}" kill "$name" TERM
	wait "$agent" || true
else
	skip "the overlay for metrics: it could not be rendered"
fi

echo "agent: $passed $failed $skipped"
