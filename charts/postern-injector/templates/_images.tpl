{{/*
A regular expression for the images that the guard lets a sidecar have. Without exactImage that is any digest of the sidecar's repository: after an
upgrade or a rollback the injector goes on with the image before until it has read its settings, and those pods must not be refused.
*/}}
{{- define "injector.allowedImages" -}}
{{- $any := "[a-f0-9]{64}" }}
{{- $image := .Values.sidecar.image }}
{{- if not .Values.guard.exactImage }}
{{- $image = regexReplaceAll "@sha256:.*$" $image "@sha256:*" }}
{{- end }}
{{- $all := list }}
{{- range prepend .Values.sidecar.allowedImages $image }}
{{- $parts := splitList "@sha256:" . }}
{{- $name := first $parts | replace "." "[.]" | replace "*" "[a-z0-9._-]*" }}
{{- $all = append $all (printf "%s@sha256:%s" $name (last $parts | replace "*" $any)) }}
{{- end }}
{{- printf "^(%s)$" (uniq $all | join "|") }}
{{- end }}
