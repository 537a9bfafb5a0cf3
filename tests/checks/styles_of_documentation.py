"""What Kubernetes' documentation does, in our own words: none of it is an error."""

from __future__ import annotations

EXEC_LIVENESS = """
apiVersion: v1
kind: Pod
metadata: {name: file-probe}
spec:
  containers:
  - name: shell
    image: busybox:1.28
    args: [/bin/sh, -c, "touch /tmp/fine; sleep 30; rm -f /tmp/fine; sleep 600"]
    livenessProbe: {exec: {command: [cat, /tmp/fine]}, initialDelaySeconds: 5, periodSeconds: 5}
"""

SIDECAR = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: writer}
spec:
  replicas: 1
  selector: {matchLabels: {app: writer}}
  template:
    metadata: {labels: {app: writer}}
    spec:
      initContainers:
      - name: reader
        image: alpine
        restartPolicy: Always
        command: [sh, -c, "tail -F /logs/all.txt"]
      containers:
      - name: writer
        image: alpine
        command: [sh, -c, "while true; do date >> /logs/all.txt; sleep 1; done"]
"""

INIT_CONTAINERS = """
apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  containers:
  - name: app
    image: busybox:1.28
    command: [sh, -c, "echo up; sleep 3600"]
  initContainers:
  - name: wait
    image: busybox:1.28
    command: [sh, -c, "until nslookup db; do echo not yet; sleep 2; done"]
"""

ENVIRONMENT = """
apiVersion: v1
kind: Pod
metadata: {name: dependent}
spec:
  containers:
  - name: shell
    image: busybox:1.28
    command: [sh, -c]
    args: ["while true; do echo -e '\\\\n'; printf IS=$ESCAPED'\\\\n'; sleep 30; done;"]
    env:
    - {name: PORT, value: "80"}
    - {name: ESCAPED, value: "$$(PROTOCOL)://$(PORT)"}
"""

ZOOKEEPER = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: keeper}
spec:
  serviceName: keeper
  replicas: 3
  updateStrategy: {type: RollingUpdate}
  selector: {matchLabels: {app: keeper}}
  template:
    metadata: {labels: {app: keeper}}
    spec:
      containers:
      - name: keeper
        image: registry.example/keeper:1
        ports: [{containerPort: 2181, name: client}, {containerPort: 2888, name: server}]
        command:
        - sh
        - -c
        - "start-keeper \\
          --servers=3 \\
          --heap=512M"
        startupProbe: {tcpSocket: {port: client}, failureThreshold: 30}
        livenessProbe: {exec: {command: [sh, -c, "keeper-ok 2181"]}, periodSeconds: 20}
        readinessProbe: {exec: {command: [sh, -c, "keeper-ok 2181"]}, initialDelaySeconds: 10}
"""

DATABASE = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: sql}
spec:
  serviceName: sql
  replicas: 3
  selector: {matchLabels: {app: sql}}
  template:
    metadata: {labels: {app: sql}}
    spec:
      containers:
      - name: sql
        image: mysql:5.7
        ports: [{containerPort: 3306, name: sql}]
        startupProbe: {tcpSocket: {port: sql}, failureThreshold: 30}
        livenessProbe: {exec: {command: [mysqladmin, ping]}, timeoutSeconds: 5}
        readinessProbe: {exec: {command: [mysql, -h, 127.0.0.1, -e, "SELECT 1"]}}
      - name: backup
        image: registry.example/backup:1
        ports: [{containerPort: 3307}]
        command:
        - bash
        - -c
        - |
          set -ex
          # It's the ordinal that counts; exec comes last.
          [[ `hostname` =~ -([0-9]+)$ ]] || exit 1
          if [[ -f position && "x$(<position)" != "x" ]]; then
            cat position | sed -E 's/;$//g' > change.sql
          elif [[ -f log ]]; then
            echo "CHANGE TO ${BASH_REMATCH[1]}, \\
                  POSITION=1;" > change.sql
          fi
          until mysql -h 127.0.0.1 -e "SELECT 1"; do sleep 1; done
          # Serve backups when a peer asks.
          exec ncat --listen --keep-open 3307 -c \\
            "backup --host=127.0.0.1"
"""

HOOKS = """
apiVersion: v1
kind: Pod
metadata: {name: hooks}
spec:
  containers:
  - name: web
    image: nginx
    lifecycle:
      postStart: {exec: {command: [/bin/sh, -c, "echo up > /usr/share/message"]}}
      preStop:
        exec:
          command: [/bin/sh, -c, "nginx -s quit; while killall -0 nginx; do sleep 1; done"]
"""

CONTROL_PLANE = """
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: kube-system}
spec:
  hostNetwork: true
  containers:
  - name: api
    image: registry.k8s.io/kube-apiserver:v1.34.0
    command: [kube-apiserver, --advertise-address=192.0.2.10]
    livenessProbe:
      httpGet: {host: 192.0.2.10, path: /livez, port: 6443, scheme: HTTPS}
      failureThreshold: 8
    readinessProbe: {httpGet: {host: 192.0.2.10, path: /readyz, port: 6443, scheme: HTTPS}}
    startupProbe:
      httpGet: {host: 192.0.2.10, path: /livez, port: 6443, scheme: HTTPS}
      failureThreshold: 24
"""

SHELL = ["warning shell-pid-1"]
DOCUMENTED: list[tuple[str, str, list[str]]] = [
    ("liveness by a file", EXEC_LIVENESS, [*SHELL, "warning startup-probe"]),
    ("a sidecar that follows a log", SIDECAR, SHELL),
    ("init containers that wait", INIT_CONTAINERS, SHELL),
    ("variables that depend on others", ENVIRONMENT, SHELL),
    ("ZooKeeper", ZOOKEEPER, SHELL),
    ("a database with a backup beside it", DATABASE, []),
    ("hooks of nginx", HOOKS, []),
    ("a control plane's static pod", CONTROL_PLANE, []),
]
