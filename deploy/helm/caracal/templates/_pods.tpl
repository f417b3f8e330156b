{{- define "caracal.pod" -}}
serviceAccountName: {{ include "caracal.name" .root }}
automountServiceAccountToken: false
# Variables named after Services would begin with CARACAL_, as the settings do.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ add (get .root.Values.settings "DRAIN_SECONDS" | default "14" | int) 16 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .process }}
    image: "{{ .root.Values.image.registry }}/{{ .process }}@{{ get .root.Values.image.digests .process }}"
    imagePullPolicy: {{ .root.Values.image.pullPolicy }}
    args:
      {{- include "caracal.arguments" . | nindent 6 }}
    env:
      {{- include "caracal.environment" . | nindent 6 }}
    ports:
      {{- range $port, $number := .facts.ports }}
      - name: {{ $port }}
        containerPort: {{ $number }}
      {{- end }}
    {{- include "caracal.probes" .facts.probed | nindent 4 }}
    resources:
      {{- toYaml .given.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      runAsNonRoot: true
      runAsUser: 65532
      runAsGroup: 65532
      capabilities:
        drop:
          - ALL
      seccompProfile:
        type: RuntimeDefault
    volumeMounts:
      {{- include "caracal.mounts" . | nindent 6 }}
volumes:
  {{- include "caracal.volumes" . | nindent 2 }}
{{- end -}}

{{- define "caracal.probes" -}}
startupProbe:
  httpGet:
    path: /health
    port: {{ . }}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /health
    port: {{ . }}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /ready
    port: {{ . }}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{- define "caracal.mounts" -}}
- name: tmp
  mountPath: /tmp
- name: data
  mountPath: /var/lib/caracal
{{- range .facts.keys }}
# A file by itself: a volume of a Secret holds links, through which no key is read.
- name: keys
  mountPath: /var/lib/caracal/keys/{{ . }}
  subPath: {{ . }}
  readOnly: true
{{- end }}
{{- if .facts.keys }}
- name: keys
  mountPath: /var/lib/caracal/peers
  subPath: peers
  readOnly: true
- name: peer-tls
  mountPath: /run/caracal/peer-tls
  readOnly: true
{{- end }}
{{- if .facts.keeps }}
{{- if .given.database.existingSecret }}
- name: database
  mountPath: /run/caracal/database
  readOnly: true
{{- end }}
{{- end }}
{{- if .root.Values.extraCertificates.existingConfigMap }}
- name: extra-certificates
  mountPath: /run/caracal/extra-certificates
  readOnly: true
{{- end }}
{{- end -}}

{{- define "caracal.volumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- if .facts.keys }}
- name: keys
  secret:
    secretName: {{ .given.keys.existingSecret }}
    defaultMode: 0440
- name: peer-tls
  secret:
    secretName: {{ .given.peerTls.existingSecret }}
    defaultMode: 0440
{{- end }}
{{- if not .facts.keeps }}
- name: data
  emptyDir:
    sizeLimit: 16Mi
{{- else }}
{{- with .given.persistence.existingClaim }}
- name: data
  persistentVolumeClaim:
    claimName: {{ . }}
{{- end }}
{{- with .given.database }}
{{- if .existingSecret }}
- name: database
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 0440
    items:
      - key: {{ .key }}
        path: url
{{- end }}
{{- end }}
{{- end }}
{{- with .root.Values.extraCertificates }}
{{- if .existingConfigMap }}
- name: extra-certificates
  configMap:
    name: {{ .existingConfigMap }}
    items:
      - key: {{ .key }}
        path: ca.crt
{{- end }}
{{- end }}
{{- end -}}
