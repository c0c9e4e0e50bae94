# shellcheck shell=bash
# Renders, validates and compares what deploys the agent; read by packaging/scripts/test-container.sh, which sets `work`
# and `binary`.
#
# Three files say what the agent may do: the unit, the DaemonSet (with the chart's) and the compose file. They must not
# drift apart, so their capabilities, limits and mounts are compared here.
# shellcheck disable=SC2154  # set by the reader

kubernetes=packaging/kubernetes
compose=packaging/container/compose.yml

# has TOOL WHAT: there is one; else what it would check is left out.
has() {
	command -v "$1" >/dev/null && return
	skip "$2: there is no $1"
	return 1
}

# The pod of a rendered file without what kustomize and Helm name in their own ways.
pod() {
	yq . "$1" | jq -S 'select(.kind == "DaemonSet") | .spec
		| del(.template.metadata, .template.spec.containers[0].image)
		| (.template.spec.volumes[] | select(.name == "config") | .configMap.name) = "sentineledge-config"
		| .template.spec.volumes |= sort_by(.name)
		| .template.spec.containers[0].volumeMounts |= sort_by(.name)'
}

# ---- kustomize
if has kubectl "rendering the kustomizations"; then
	for directory in base overlays/scrape overlays/old-kernels; do
		rendered=$work/$(basename "$directory").yaml
		check "$kubernetes/$directory renders" kubectl kustomize "$kubernetes/$directory" --output "$rendered"
	done
fi

# ---- the chart
if has helm "rendering the chart"; then
	check "helm lint" helm lint --strict --quiet "$kubernetes/chart"
	chart() {
		helm template sentineledge "$kubernetes/chart" --namespace security "$@"
	}
	chart >"$work/chart.yaml"
	printf 'groups:\n  - name: some\n    rules: []\n' >"$work/alerts.yml"
	chart --set metrics.expose=true,metrics.podMonitor.enabled=true,raiseLockedMemory=true --set-file alerts="$work/alerts.yml" \
		--set-file 'dashboards.some\.json'="$work/image.json" --set-file 'rules.some\.yml'="$work/alerts.yml" >"$work/chart-full.yaml"
	same "the chart makes each kind of object" "ConfigMap ConfigMap ConfigMap DaemonSet PodMonitor PrometheusRule ServiceAccount" \
		"$(yq -r .kind "$work/chart-full.yaml" | sort | paste -sd' ')"
	check "the chart refuses a value that it does not have" bash -c "! helm template '$kubernetes/chart' --set resource.limits=1"
	check "the chart refuses to have loopback scraped" bash -c "! helm template '$kubernetes/chart' --set metrics.podMonitor.enabled=true"
	if [ -s "$work/base.yaml" ]; then
		same "the chart's pod is that of the base" "$(pod "$work/base.yaml")" "$(pod "$work/chart.yaml")"
		chart --set metrics.expose=true >"$work/chart-scrape.yaml"
		same "the chart's pod with metrics.expose is that of the overlay" "$(pod "$work/scrape.yaml")" "$(pod "$work/chart-scrape.yaml")"
	fi
fi

# ---- schemas
if has kubernetes-validate "schemas of Kubernetes"; then
	for rendered in "$work"/{base,scrape,old-kernels,chart,chart-full}.yaml; do
		[ -s "$rendered" ] || continue
		# The operator's own kinds have no schema there, which is only a warning.
		for version in 1.31 1.37; do
			check "$(basename "$rendered") is right for Kubernetes $version" \
				kubernetes-validate --strict --quiet --no-warn --kubernetes-version "$version" "$rendered"
		done
	done
fi
has hadolint "the Dockerfile's habits" && check "hadolint" hadolint packaging/container/Dockerfile

# ---- compose
if docker compose version >/dev/null 2>&1; then
	check "$compose is right" docker compose -f "$compose" config --quiet
elif has docker-compose "the compose file's schema"; then
	check "$compose is right" docker-compose -f "$compose" config --quiet
fi
service=$(yq -c .services.sentineledge "$compose")
container=$(jq -c '.spec.template.spec.containers[0]' "$work/daemonset.json")
from_service() {
	jq -r "$1" <<<"$service"
}
from_container() {
	jq -r "$1" <<<"$container"
}

if has promtool "Prometheus's configuration"; then
	check "packaging/container/prometheus.yml is right" promtool check config --syntax-only packaging/container/prometheus.yml
fi

# ---- what must be the same everywhere
unit=systemd/sentineledge.service
capabilities=$(sed -n 's/^CapabilityBoundingSet=//p' "$unit" | tr ' ' '\n' | sed 's/^CAP_//' | sort | paste -sd' ')
same "the DaemonSet has the unit's capabilities" "$capabilities" "$(from_container '[.securityContext.capabilities.add | sort[]] | join(" ")')"
same "the compose file has the unit's capabilities" "$capabilities" "$(from_service '[.cap_add | sort[]] | join(" ")')"
same "and none else" '["ALL"]["ALL"]' "$(from_container '.securityContext.capabilities.drop | tostring')$(from_service '.cap_drop | tostring')"
same "neither is privileged" "false null" "$(from_container .securityContext.privileged) $(from_service .privileged)"
same "requests and limits of the pod" '{"limits":{"cpu":"500m","memory":"1Gi"},"requests":{"cpu":"100m","memory":"256Mi"}}' \
	"$(jq -cS .resources <<<"$container")"
same "limits of the service" '{"cpus":"0.5","memory":"1G"}' "$(jq -cS .deploy.resources.limits <<<"$service")"
same "the service's health is the image's" "$(jq -c '["CMD"] + .healthcheck' "$work/image.json")" "$(jq -c .healthcheck.test <<<"$service")"
host='^(/proc|/etc|/sys/fs/cgroup)$'
same "both have the same of the host, to read" \
	"$(jq -r --arg host "$host" '[.spec.template.spec as $pod | $pod.containers[0].volumeMounts[] | . as $m
		| ($pod.volumes[] | select(.name == $m.name) | .hostPath.path // "") | select(test($host)) | "\(.):\($m.mountPath):" + (if $m.readOnly then "ro" else "rw" end)] | sort | join(" ")' "$work/daemonset.json")" \
	"$(jq -r --arg host "$host" '[.volumes[] | select(split(":")[0] | test($host))] | sort | join(" ")' <<<"$service")"
same "every service has a limit of memory, of log and of what is restarted" "" \
	"$(yq -r '.services | to_entries[] | select(.value.deploy.resources.limits.memory == null or .value.healthcheck == null
		or (.value.logging // {}).options["max-size"] == null or .value.restart == null) | .key' <(yq . "$compose"))"
same "ports are published on loopback alone, and not the agent's" "127.0.0.1:3000:3000 127.0.0.1:9091:9090 127.0.0.1:9093:9093" \
	"$(yq -r '[.services[].ports // [] | .[]] | sort | join(" ")' "$compose")"
for file in ../monitoring/prometheus/alerts.yml ../monitoring/grafana; do
	check "the compose file mounts $file" grep -qF -- "- $file:" "$compose"
	[ -e "packaging/container/$file" ] || skip "packaging/${file#../} is not in this tree"
done

# ---- configurations
mkdir -p "$work/secrets/container"
cp packaging/container/secrets.sh "$work/secrets/container"
if has openssl "secrets.sh and the configurations that need TLS"; then
	check "secrets.sh makes what the compose file names" "$work/secrets/container/secrets.sh"
	made=$work/secrets/container/secrets
	same "all of it" "$(yq -r '[.secrets[].file | ltrimstr("./secrets/")] | sort | join(" ")' "$compose")" "$(find "$made" -type f -printf '%f\n' | sort | paste -sd' ')"
	sum=$(cat "$made"/* | sha256sum)
	"$work/secrets/container/secrets.sh" >/dev/null
	same "and keeps it when it is called again" "$sum" "$(cat "$made"/* | sha256sum)"
	for file in packaging/container/config.toml "$kubernetes"/{base,overlays/scrape}/config.toml; do
		sed -e "s#/run/secrets/agent-cert#$made/agent-cert.pem#; s#/run/secrets/agent-key#$made/agent-key.pem#; s#/run/secrets/agent-token#$made/agent-token#" \
			-e "s#/etc/sentineledge/tls/tls.crt#$made/agent-cert.pem#; s#/etc/sentineledge/tls/tls.key#$made/agent-key.pem#; s#/etc/sentineledge/secret/token#$made/agent-token#" \
			"$file" >"$work/config.toml"
		check "$file is a right configuration" "$binary" check-config --config "$work/config.toml"
	done
fi
if [ -s "$work/chart-scrape.yaml" ]; then
	for rendered in base scrape; do
		of_chart=$([ "$rendered" = base ] && echo chart || echo chart-scrape)
		of() {
			yq -r 'select(.kind == "ConfigMap" and (.metadata.name | startswith("sentineledge-config"))) | .data["config.toml"]' "$work/$1.yaml" >"$work/config.toml"
			grep -vE '^(#|$)' "$work/config.toml"
		}
		same "the chart's configuration is that of $rendered" "$(of "$rendered")" "$(of "$of_chart")"
	done
fi
