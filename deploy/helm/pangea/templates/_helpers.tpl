{{/* Names and what owner and workers have in common. */}}
{{- define "pangea.name" -}}
{{- if contains "pangea" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-pangea" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "pangea.selector" -}}
app.kubernetes.io/name: pangea
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pangea.labels" -}}
{{ include "pangea.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The pod of a node: .top is the root, .part the values of owner or workers, .role which, .args the command line. */}}
{{- define "pangea.pod" -}}
{{- $top := .top }}
metadata:
  labels:
    {{- include "pangea.labels" $top | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
  {{- with $top.Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 30
  {{- with $top.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: node
      image: {{ printf "%s:%s" $top.Values.image.repository (default $top.Chart.AppVersion $top.Values.image.tag) | quote }}
      imagePullPolicy: {{ $top.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      env:
        - name: PANGEA_HTTP
          value: "0.0.0.0:9464"
        - name: PANGEA_LOG_FORMAT
          value: json
        {{- with .part.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - name: metrics
          containerPort: 9464
        {{- if eq .role "owner" }}
        - name: rpc
          containerPort: {{ .part.listen }}
        {{- end }}
      startupProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .part.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: tmp
      emptyDir: {}
  {{- with $top.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $top.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $top.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The claim of a node's data: key, journal, content, compiled modules. */}}
{{- define "pangea.claim" -}}
- metadata:
    name: data
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .storage }}
{{- end }}
