{{/* The names of objects. */}}
{{- define "injector.name" -}}
{{- default .Chart.Name .Values.nameOverride }}
{{- end }}

{{- define "injector.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else }}
{{- $name := include "injector.name" . }}
{{- if contains .Release.Name $name }}
{{- $name }}
{{- else }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "injector.serviceAccount" -}}
{{- default (include "injector.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{/* The Secret that holds the certificate: the injector's own, cert-manager's, or the given one. */}}
{{- define "injector.certificateSecret" -}}
{{- default (printf "%s-certificate" (include "injector.fullname" .)) .Values.certificate.secretName }}
{{- end }}

{{- define "injector.selector" -}}
app.kubernetes.io/name: {{ include "injector.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "injector.labels" -}}
{{- with .Values.extraLabels }}
{{- toYaml . }}
{{ end -}}
{{ include "injector.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: postern
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Namespaces that webhook and guard leave alone, as a JSON list: without the release's own the injector could not start itself. */}}
{{- define "injector.excludedNamespaces" -}}
{{- concat (list "kube-system" "kube-node-lease" "kube-public" .Release.Namespace) .Values.webhook.excludedNamespaces | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Whether the API server knows ValidatingAdmissionPolicy v1. */}}
{{- define "injector.guarded" -}}
{{- if and .Values.guard.enabled (semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version) }}true{{ end }}
{{- end }}

{{/* GOMEMLIMIT: nine tenths of the limit, so that the collector works harder before the kernel ends the process. */}}
{{- define "injector.memoryLimit" -}}
{{- printf "%dKiB" (div (mul (trimSuffix "Mi" .Values.resources.limits.memory | int64) 1024 9) 10) }}
{{- end }}
