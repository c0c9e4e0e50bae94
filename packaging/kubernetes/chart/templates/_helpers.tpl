{{/* Labels of every object. */}}
{{- define "sentineledge.labels" -}}
app.kubernetes.io/name: sentineledge
app.kubernetes.io/component: agent
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* The image, by digest if there is one. */}}
{{- define "sentineledge.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The whole configuration. What is not in it has the agent's default. */}}
{{- define "sentineledge.config" -}}
{{ .Values.config | trim }}

[monitoring]
prometheus_endpoint = "{{ ternary "0.0.0.0" "127.0.0.1" .Values.metrics.expose }}:9090"
health_check_address = "127.0.0.1"
health_check_port = 8080
{{- if .Values.metrics.expose }}
tls_cert = "/etc/sentineledge/tls/tls.crt"
tls_key = "/etc/sentineledge/tls/tls.key"
token_file = "/etc/sentineledge/secret/token"
{{- end }}
{{- end }}

{{/* A probe: kubelet asks on the node's loopback, and does not look at certificates. */}}
{{- define "sentineledge.probe" -}}
httpGet:
  host: 127.0.0.1
  path: {{ .path }}
  port: 8080
  {{- if .tls }}
  scheme: HTTPS
  {{- end }}
timeoutSeconds: 5
{{- end }}
