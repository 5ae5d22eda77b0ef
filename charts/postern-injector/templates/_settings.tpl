{{/* The options of every sidecar: those of the values, and where sessions are kept. */}}
{{- define "injector.sidecarEnv" -}}
{{- $env := deepCopy .Values.sidecar.env }}
{{- with .Values.sessions.redis }}
{{- if and .sentinelAddresses (not .sentinelMaster) }}{{ fail "sessions.redis.sentinelMaster is required with sentinelAddresses" }}{{ end }}
{{- if and .sentinelMaster (not .sentinelAddresses) }}{{ fail "sessions.redis.sentinelAddresses is required with sentinelMaster" }}{{ end }}
{{- if and .sentinelAddresses .clusterAddresses }}{{ fail "sessions.redis: sentinelAddresses and clusterAddresses exclude each other" }}{{ end }}
{{- if and .username (not (or .uri .sentinelAddresses .clusterAddresses)) }}{{ fail "sessions.redis.username without an address" }}{{ end }}
{{- with .uri }}{{ $_ := set $env "POSTERN_REDIS_URI" . }}{{ end }}
{{- with .username }}{{ $_ := set $env "POSTERN_REDIS_USERNAME" . }}{{ end }}
{{- with .sentinelMaster }}{{ $_ := set $env "POSTERN_REDIS_SENTINEL_MASTER" . }}{{ end }}
{{- with .sentinelAddresses }}{{ $_ := set $env "POSTERN_REDIS_SENTINEL_ADDRESSES" (join "," .) }}{{ end }}
{{- with .clusterAddresses }}{{ $_ := set $env "POSTERN_REDIS_CLUSTER_ADDRESSES" (join "," .) }}{{ end }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{/* The Secrets of every sidecar. */}}
{{- define "injector.sidecarSecrets" -}}
{{- $secrets := .Values.sidecar.secrets }}
{{- with .Values.sessions.secretName }}{{ $secrets = append $secrets . | uniq }}{{ end }}
{{- toYaml $secrets }}
{{- end }}

{{/* What the injector reads: inject.Settings as YAML. */}}
{{- define "injector.settings" -}}
image: {{ .Values.sidecar.image | quote }}
allowed-images: {{- toYaml .Values.sidecar.allowedImages | nindent 2 }}
pull-policy: {{ .Values.sidecar.pullPolicy }}
resources: {{- toYaml .Values.sidecar.resources | nindent 2 }}
env: {{- include "injector.sidecarEnv" . | nindent 2 }}
secrets: {{- include "injector.sidecarSecrets" . | nindent 2 }}
defaults: {{- toYaml .Values.sidecar.defaults | nindent 2 }}
{{- end }}
