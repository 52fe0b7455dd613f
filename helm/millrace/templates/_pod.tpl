{{/* What pods of both components have in common. Each takes (dict "root" $ "component" NAME). */}}

{{- define "millrace.podMetadata" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- include "millrace.selector" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "millrace.podPlacement" -}}
{{- $values := index .root.Values .component -}}
# The variables of a service named millrace-metrics would be taken for flags.
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "millrace.selector" . | nindent 8 }}
{{- end }}

{{- define "millrace.commonArgs" -}}
- --cluster={{ include "millrace.cluster" .root }}
- --name=$(POD_NAME)
- --storage=/srv/millrace/storage/state
- --data-dir=/srv/millrace/storage/output
{{- with .root.Values.kafka.brokers }}
- --brokers={{ join "," . }}
{{- end }}
- --host=0.0.0.0
- --tls-ca=/srv/millrace/tls/ca.crt
- --tls-cert=/srv/millrace/tls/tls.crt
- --tls-key=/srv/millrace/tls/tls.key
- --log-format={{ .root.Values.log.format }}
- --log-level={{ .root.Values.log.level }}
{{- with .root.Values.protocolMax }}
- --protocol-max={{ . }}
{{- end }}
{{- end }}

{{- define "millrace.containerBasics" -}}
image: {{ include "millrace.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- with .root.Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml (index .root.Values .component).resources | nindent 2 }}
# Its own port answers: nothing else that may be away restarts it.
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  timeoutSeconds: 3
  failureThreshold: 3
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 2
  timeoutSeconds: 3
  failureThreshold: 30
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end }}

{{- define "millrace.commonEnv" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- with .root.Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "millrace.commonMounts" -}}
- {name: storage, mountPath: /srv/millrace/storage}
- {name: tls, mountPath: /srv/millrace/tls, readOnly: true}
{{- with .root.Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "millrace.commonVolumes" -}}
- name: storage
  persistentVolumeClaim: {claimName: {{ include "millrace.storageClaim" .root }}}
{{- with .root.Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
