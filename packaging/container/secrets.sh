#!/usr/bin/env bash
# Makes what compose.yml has under `secrets`, in the directory of that name beside it, once: what is there is kept.
#
# A certificate that is its own authority, for ten years and the name "sentineledge", which Prometheus checks; the token
# that it shows; Grafana's password. Compose mounts files as they are, with owner and mode, so each belongs to the user
# that reads it in its container. That takes root.
set -euo pipefail
cd "$(dirname "$0")"

[ "$(id -u)" = 0 ] || {
	echo "secrets: files are given to the users of the containers, which takes root" >&2
	exit 1
}
command -v openssl >/dev/null || {
	echo "secrets: needs openssl" >&2
	exit 1
}
umask 077
mkdir -p secrets
cd secrets

if [ ! -e agent-key.pem ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj /CN=sentineledge \
		-addext 'subjectAltName=DNS:sentineledge,DNS:localhost,IP:127.0.0.1' \
		-keyout agent-key.pem.new -out agent-cert.pem 2>/dev/null
	# Last, so that an attempt that failed is made again.
	mv agent-key.pem.new agent-key.pem
fi
[ -s agent-token ] || openssl rand -hex 32 >agent-token
[ -s grafana-password ] || openssl rand -hex 16 >grafana-password
cp agent-token prometheus-token

# The agent is root; Prometheus and Grafana are users of their own.
chown 0:0 agent-cert.pem agent-key.pem agent-token
chown 65534:65534 prometheus-token
chown 472:0 grafana-password
chmod 0444 agent-cert.pem
chmod 0400 agent-key.pem agent-token prometheus-token grafana-password
# Docker looks up each file as root; nobody else has to.
chmod 0700 .
echo "secrets: ready in $PWD; Grafana's password for admin is in grafana-password"
