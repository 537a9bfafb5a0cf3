"""Manifests of web apps and servers, as people write them."""

from __future__ import annotations

GUNICORN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 60
      containers:
      - name: web
        image: registry.example/web:1
        command: [gunicorn, app.main:app]
        args: [-k, uvicorn.workers.UvicornWorker, --workers, "4", --graceful-timeout, "40"]
        env: [{name: LIFECYCLE_ENV, value: prod}]
        ports: [{containerPort: 8000}]
        startupProbe: {httpGet: {path: /healthz, port: 8000}, failureThreshold: 30}
        livenessProbe: {httpGet: {path: /healthz, port: 8000}}
        readinessProbe: {httpGet: {path: /healthz/ready, port: 8000}}
        lifecycle: {preStop: {exec: {command: ["/bin/sh", "-c", "sleep 15"]}}}
"""

DISTROLESS = """
apiVersion: v1
kind: Pod
metadata: {name: etcd-with-grpc}
spec:
  automountServiceAccountToken: false
  containers:
  - name: etcd
    image: gcr.io/distroless/static-debian12:nonroot
    command: [/usr/local/bin/etcd, --data-dir, /var/lib/etcd, --listen-client-urls, "http://0.0.0.0:2379"]
    ports: [{containerPort: 2379}]
    startupProbe: {exec: {command: [/bin/grpc_health_probe, "-addr=:2379"]}, failureThreshold: 30}
    livenessProbe: {grpc: {port: 2379}, initialDelaySeconds: 10}
    readinessProbe: {exec: {command: [/bin/grpc_health_probe, "-addr=:2379"]}, timeoutSeconds: 2}
"""

LIVENESS_HTTP = """
apiVersion: v1
kind: Pod
metadata:
  labels:
    test: liveness
  name: liveness-http
spec:
  containers:
  - name: liveness
    image: registry.k8s.io/e2e-test-images/agnhost:2.40
    args:
    - liveness
    livenessProbe:
      httpGet:
        path: /healthz
        port: 8080
        httpHeaders:
        - name: Custom-Header
          value: Awesome
      initialDelaySeconds: 3
      periodSeconds: 3
"""

DUBBO_JAVA = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: dubbo-samples-provider}
spec:
  replicas: 3
  selector: {matchLabels: {app: provider}}
  template:
    metadata: {labels: {app: provider}}
    spec:
      containers:
      - name: provider
        image: apache/dubbo-demo:provider
        ports: [{name: dubbo, containerPort: 20880}, {name: dubbo-qos, containerPort: 22222}]
        livenessProbe: {httpGet: {path: /live, port: dubbo-qos}, initialDelaySeconds: 5}
        readinessProbe: {httpGet: {path: /ready, port: dubbo-qos}, initialDelaySeconds: 5}
        startupProbe: {httpGet: {path: /startup, port: dubbo-qos}, failureThreshold: 30}
        lifecycle: {preStop: {exec: {command: [/bin/sh, -c, "curl localhost:22222/offline; sleep 10"]}}}
"""
