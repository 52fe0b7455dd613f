{{- define "millrace.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for "-coordinator-12" and the hash that a StatefulSet adds to its pods' labels. */}}
{{- define "millrace.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "millrace.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "millrace.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "millrace.cluster" -}}
{{- default .Release.Name .Values.cluster }}
{{- end }}

{{/* What never changes, as selectors must not. Of (dict "root" $ "component" NAME). */}}
{{- define "millrace.selector" -}}
app.kubernetes.io/name: {{ include "millrace.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "millrace.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "millrace.coordinator" -}}{{ include "millrace.fullname" . }}-coordinator{{- end }}
{{- define "millrace.worker" -}}{{ include "millrace.fullname" . }}-worker{{- end }}
{{- define "millrace.api" -}}{{ include "millrace.fullname" . }}-api{{- end }}

{{- define "millrace.coordinatorTlsSecret" -}}
{{- default (printf "%s-tls" (include "millrace.coordinator" .)) .Values.tls.coordinatorSecret }}
{{- end }}
{{- define "millrace.workerTlsSecret" -}}
{{- default (printf "%s-tls" (include "millrace.worker" .)) .Values.tls.workerSecret }}
{{- end }}
{{- define "millrace.apiTlsSecret" -}}
{{- default (printf "%s-tls" (include "millrace.api" .)) .Values.api.tlsSecret }}
{{- end }}
{{- define "millrace.apiTokensSecret" -}}
{{- default (printf "%s-tokens" (include "millrace.api" .)) .Values.api.tokensSecret }}
{{- end }}
{{- define "millrace.storageClaim" -}}
{{- default (printf "%s-storage" (include "millrace.fullname" .)) .Values.storage.existingClaim }}
{{- end }}

{{- define "millrace.coordinatorServiceAccount" -}}
{{- default (include "millrace.coordinator" .) .Values.serviceAccount.coordinatorName }}
{{- end }}
{{- define "millrace.workerServiceAccount" -}}
{{- default (include "millrace.worker" .) .Values.serviceAccount.workerName }}
{{- end }}

{{/* With a single coordinator there is nothing to tell apart. */}}
{{- define "millrace.leaderLabel" -}}
{{- if gt (int .Values.coordinator.replicas) 1 }}millrace.dev/leads{{ end }}
{{- end }}

{{/* Of a component: where nodes connect, and the operating port. */}}
{{- define "millrace.ports" -}}
{{- if eq . "coordinator" }}{nodes: 7070, metrics: 9090}{{ else }}{nodes: 7071, metrics: 9091}{{ end }}
{{- end }}

{{/* HOST:PORT of every coordinator: workers try them all. */}}
{{- define "millrace.coordinatorAddresses" -}}
{{- $name := include "millrace.coordinator" . }}
{{- $addresses := list }}
{{- range $index := until (int .Values.coordinator.replicas) }}
{{- $addresses = append $addresses (printf "%s-%d.%s:7070" $name $index $name) }}
{{- end }}
{{- join "," $addresses }}
{{- end }}
