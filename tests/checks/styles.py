"""
Manifests as people write them, each with what must be found in it.

A style is (its name, its text, the findings as `severity rule` in any order).
"""

from __future__ import annotations

from tests.checks.styles_of_documentation import DOCUMENTED
from tests.checks.styles_of_servers import DISTROLESS, DUBBO_JAVA, GUNICORN, LIVENESS_HTTP

NGINX = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: nginx-deployment
  labels:
    app: nginx
spec:
  replicas: 3
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      containers:
      - name: nginx
        image: nginx:1.14.2
        ports:
        - containerPort: 80
"""

HELM = """
# Source: shop/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: release-shop
  labels: &labels
    helm.sh/chart: shop-0.1.0
    app.kubernetes.io/name: shop
    app.kubernetes.io/instance: release
    app.kubernetes.io/managed-by: Helm
spec:
  type: ClusterIP
  ports: [{port: 80, targetPort: http, protocol: TCP, name: http}]
  selector: {app.kubernetes.io/name: shop, app.kubernetes.io/instance: release}
---
# Source: shop/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: release-shop
  labels:
    helm.sh/chart: shop-0.1.0
spec:
  selector:
    matchLabels: {app.kubernetes.io/name: shop, app.kubernetes.io/instance: release}
  template:
    metadata:
      labels: {app.kubernetes.io/name: shop, app.kubernetes.io/instance: release}
    spec:
      serviceAccountName: release-shop
      securityContext: {}
      containers:
        - name: shop
          securityContext: {}
          image: "nginx:1.16.0"
          imagePullPolicy: IfNotPresent
          ports:
            - name: http
              containerPort: 80
              protocol: TCP
          livenessProbe:
            httpGet: {path: /, port: http}
          readinessProbe:
            httpGet: {path: /, port: http}
          resources: {}
---
# Source: shop/templates/hpa.yaml
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: release-shop
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: release-shop}
  minReplicas: 2
  maxReplicas: 10
---
# Source: shop/templates/empty.yaml
"""

KUSTOMIZE = """
apiVersion: v1
data:
  LEVEL: info
kind: ConfigMap
metadata:
  name: prod-settings-7b8t9c2m4k
---
apiVersion: apps/v1
kind: Deployment
metadata:
  labels:
    app: web
    env: prod
  name: prod-web
  namespace: prod
spec:
  replicas: 4
  selector:
    matchLabels:
      app: web
      env: prod
  strategy:
    rollingUpdate:
      maxSurge: 25%
      maxUnavailable: 25%
    type: RollingUpdate
  template:
    metadata:
      labels:
        app: web
        env: prod
    spec:
      containers:
      - args:
        - --config=/etc/web/config.yaml
        command:
        - /web
        envFrom:
        - configMapRef:
            name: prod-settings-7b8t9c2m4k
        image: registry.example/web@sha256:0000000000000000000000000000000000000000000000000000
        livenessProbe:
          failureThreshold: 6
          httpGet:
            path: /healthz
            port: 8080
        name: web
        ports:
        - containerPort: 8080
          name: http
        readinessProbe:
          httpGet:
            path: /healthz
            port: 8080
        startupProbe:
          failureThreshold: 30
          httpGet:
            path: /healthz
            port: 8080
"""

ISTIO = """
apiVersion: v1
kind: Pod
metadata:
  name: reviews-v1-6bd9cf9c5b-wr7xd
  annotations:
    kubectl.kubernetes.io/default-container: reviews
    sidecar.istio.io/status: '{"initContainers":["istio-init"],"containers":["istio-proxy"]}'
  labels: {app: reviews, security.istio.io/tlsMode: istio}
spec:
  initContainers:
  - name: istio-init
    image: docker.io/istio/proxyv2:1.24.0
    args: [istio-iptables, -p, "15001", -z, "15006", -u, "1337", -d, "15090,15021,15020"]
    securityContext: {capabilities: {add: [NET_ADMIN, NET_RAW], drop: [ALL]}}
  containers:
  - name: reviews
    image: docker.io/istio/examples-bookinfo-reviews-v1:1.20.2
    ports: [{containerPort: 9080}]
    livenessProbe:
      httpGet: {path: /app-health/reviews/livez, port: 15020}
      failureThreshold: 5
    readinessProbe:
      httpGet: {path: /app-health/reviews/readyz, port: 15020}
    startupProbe:
      httpGet: {path: /app-health/reviews/startupz, port: 15020}
      failureThreshold: 30
  - name: istio-proxy
    image: docker.io/istio/proxyv2:1.24.0
    args: [proxy, sidecar, --domain, default.svc.cluster.local]
    env:
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: ISTIO_KUBE_APP_PROBERS, value: '{"/app-health/reviews/livez":{"httpGet":{"port":9080}}}'}
    ports: [{containerPort: 15090, name: http-envoy-prom, protocol: TCP}]
    lifecycle: {postStart: {exec: {command: [pilot-agent, wait]}}}
    readinessProbe:
      httpGet: {path: /healthz/ready, port: 15021, scheme: HTTP}
      periodSeconds: 15
    startupProbe:
      httpGet: {path: /healthz/ready, port: 15021}
      failureThreshold: 600
      periodSeconds: 1
"""

STATEFUL = """
apiVersion: v1
kind: Service
metadata: {name: redis}
spec:
  clusterIP: None
  selector: {app: redis}
  ports: [{port: 6379, name: redis}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  serviceName: redis
  replicas: 3
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec:
      terminationGracePeriodSeconds: 10
      containers:
      - name: redis
        image: redis:7
        ports: [{containerPort: 6379, name: redis}]
        startupProbe: {tcpSocket: {port: redis}, failureThreshold: 30}
        livenessProbe: {exec: {command: [redis-cli, -h, localhost, ping]}, periodSeconds: 20}
        readinessProbe: {exec: {command: [sh, -c, "redis-cli -h $(hostname) ping"]}}
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec:
      accessModes: [ReadWriteOnce]
      resources: {requests: {storage: 1Gi}}
"""

JOB = """
apiVersion: batch/v1
kind: Job
metadata:
  name: pi
spec:
  template:
    spec:
      containers:
      - name: pi
        image: perl:5.34.0
        command: ["perl",  "-Mbignum=bpi", "-wle", "print bpi(2000)"]
      restartPolicy: Never
  backoffLimit: 4
"""

CRON_JOB = """
apiVersion: batch/v1
kind: CronJob
metadata:
  name: hello
spec:
  schedule: "* * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          containers:
          - name: hello
            image: busybox:1.28
            imagePullPolicy: IfNotPresent
            command:
            - /bin/sh
            - -c
            - date; echo Hello from the Kubernetes cluster
          restartPolicy: OnFailure
"""

DAEMON = """
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: node-exporter
  namespace: monitoring
spec:
  selector: {matchLabels: {app: node-exporter}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 10%}}
  template:
    metadata: {labels: {app: node-exporter}}
    spec:
      hostNetwork: true
      hostPID: true
      tolerations: [{operator: Exists}]
      containers:
      - name: node-exporter
        image: quay.io/prometheus/node-exporter:v1.8.2
        args: ["--path.rootfs=/host", "--web.listen-address=127.0.0.1:9100"]
        ports: [{containerPort: 9100, hostPort: 9100, name: metrics}]
        readinessProbe: {httpGet: {host: 127.0.0.1, path: /, port: 9100}}
"""

NATIVE_SIDECARS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: myapp}
spec:
  replicas: 2
  selector: {matchLabels: {app: myapp}}
  template:
    metadata: {labels: {app: myapp}}
    spec:
      initContainers:
      - name: wait-for-db
        image: busybox:1.36
        command: [sh, -c, "until nslookup db; do sleep 2; done"]
      - name: logshipper
        image: alpine:latest
        restartPolicy: Always
        command: [sh, -c, "exec tail -F /opt/logs.txt"]
        volumeMounts: [{name: data, mountPath: /opt}]
      containers:
      - name: myapp
        image: alpine:latest
        command: [tini, --, /app]
        volumeMounts: [{name: data, mountPath: /opt}]
      volumes: [{name: data, emptyDir: {}}]
"""

POD_LIST = """
{
\t"apiVersion": "v1",
\t"kind": "List",
\t"metadata": {"resourceVersion": ""},
\t"items": [
\t\t{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"},
\t\t "spec": {"containers": [{"name": "a", "image": "nginx", "ports": [{"containerPort": 80}]}],
\t\t          "hostNetwork": null, "terminationGracePeriodSeconds": 30},
\t\t "status": {"phase": "Running"}},
\t\t{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "b"}}
\t]
}
"""

STYLES: list[tuple[str, str, list[str]]] = [
    ("the Deployment of the documentation", NGINX, []),
    (
        "a chart of helm create",
        HELM,
        ["warning liveness-equals-readiness", "warning startup-probe"],
    ),
    ("what kustomize build prints", KUSTOMIZE, []),
    ("a pod that Istio has injected its sidecar into", ISTIO, []),
    ("a StatefulSet with a headless Service", STATEFUL, []),
    ("a Job", JOB, []),
    ("a CronJob with a shell", CRON_JOB, ["warning shell-pid-1"]),
    ("a DaemonSet on the node's network", DAEMON, []),
    ("native sidecars", NATIVE_SIDECARS, []),
    ("gunicorn with a sleep", GUNICORN, ["warning prestop-sleep"]),
    ("distroless, with exec and grpc probes", DISTROLESS, []),
    ("liveness alone, as the documentation shows it", LIVENESS_HTTP, ["warning startup-probe"]),
    ("Dubbo in Java, which has our port and paths", DUBBO_JAVA, []),
    ("a List as kubectl prints it, with tabs", POD_LIST, []),
    *DOCUMENTED,
]
