{{/*
Which processes a mode has, and what is always so of each (docs/operations.md, "Services apart").
  ports     what it listens on, by the port's name; "peer" is for the other services only
  probed    the port that answers /health and /ready
  keeps     whether it has a store
  keys      the files that `caracal provision` makes for it, below keys/
  asks      whose peer listeners it reaches
*/}}
{{- define "caracal.processes" -}}
{{- if eq .Values.mode "all-in-one" -}}
caracal:
  ports: {control: 8080, gateway: 8081}
  probed: control
  keeps: true
  keys: []
  asks: []
{{- else -}}
sts:
  ports: {http: 8080, peer: 9080}
  probed: http
  keeps: false
  keys: [sts-seal.key, client-secret-pepper.key, peer.key]
  asks: [coordinator, audit, control]
gateway:
  ports: {http: 8081}
  probed: http
  keeps: false
  keys: [gateway-opening.key, peer.key]
  asks: [sts, coordinator, audit, control]
coordinator:
  ports: {http: 8082, peer: 9082}
  probed: http
  keeps: true
  keys: [receipt-digest.key, peer.key]
  asks: [sts, audit, control]
audit:
  ports: {http: 8083, peer: 9083}
  probed: http
  keeps: true
  keys: [evidence-signing.key, peer.key]
  asks: [control]
control:
  ports: {http: 8084, peer: 9084}
  probed: http
  keeps: true
  keys: [control-sealing.key, client-secret-pepper.key, peer.key]
  asks: [sts, coordinator, audit]
{{- end -}}
{{- end -}}

{{/* The command line of a process; `args` has the image's `caracal` before it. */}}
{{- define "caracal.arguments" -}}
{{- if eq .process "caracal" -}}
- up
- --data
- /var/lib/caracal
- --control
- 0.0.0.0:8080
- --gateway
- 0.0.0.0:8081
{{- else -}}
- serve
- {{ .process }}
- --data
- /var/lib/caracal
- --listen
- 0.0.0.0:{{ .facts.ports.http }}
{{- with .facts.ports.peer }}
- --peer-listen
- 0.0.0.0:{{ . }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "caracal.environment" -}}
- name: CARACAL_ISSUER
  value: {{ .root.Values.issuer | quote }}
- name: CARACAL_LOG_FORMAT
  value: {{ get .root.Values.settings "LOG_FORMAT" | default "json" | quote }}
{{- if .root.Values.extraCertificates.existingConfigMap }}
- name: CARACAL_TLS_EXTRA_CA_FILE
  value: /run/caracal/extra-certificates/ca.crt
{{- end }}
{{- if .facts.keeps }}
{{- if .given.database.existingSecret }}
- name: CARACAL_DATABASE_FILE
  value: /run/caracal/database/url
{{- end }}
{{- end }}
{{- range $name, $value := omit .root.Values.settings "LOG_FORMAT" }}
- name: CARACAL_{{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if ne .process "caracal" }}
{{- range $peer, $facts := .processes }}
{{- if has $peer $.facts.asks }}
- name: CARACAL_PEER_{{ upper $peer }}
  value: https://{{ include "caracal.name" $.root }}-{{ $peer }}.{{ $.root.Release.Namespace }}.svc:{{ $facts.ports.peer }}
{{- end }}
{{- end }}
- name: CARACAL_PEER_TLS_CA_FILE
  value: /run/caracal/peer-tls/ca.crt
{{- if .facts.ports.peer }}
- name: CARACAL_PEER_TLS_CERTIFICATE_FILE
  value: /run/caracal/peer-tls/tls.crt
- name: CARACAL_PEER_TLS_KEY_FILE
  value: /run/caracal/peer-tls/tls.key
{{- end }}
{{- end }}
{{- end -}}
