"""What commands, ports and protocols of probes bring: what the rules find, and leave alone."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, SERVED, SH, WEB, env, get, pod, probe

ANSWER = "probe-answer"
PORTS = [{"name": "http", "containerPort": 8000}]
MISNUMBERED = [{"name": "qos", "containerPort": 22223}]
WRAPPED = PRESTOP | {
    "command": ["lifecycle", "run", "--service", "a:8000", "--", "gunicorn", "-b", ":8000", "a:b"],
    "ports": PORTS,
}
LOCKED = {"securityContext": {"readOnlyRootFilesystem": True}}


def asked(kind: str, *command: str, **more: Any) -> dict[str, Any]:
    """Make a pod under a lifecycle, one of whose probes is a command."""
    return pod({**SERVED, **probe(kind, {"exec": {"command": list(command)}}), **more})


PROBED: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # By the kubelet itself
    *(
        (expected, (pod({**SERVED, **probe(kind, handler), **more}),))
        for expected, kind, handler, more in (
            ([f"error {ANSWER}"], "readiness", {"tcpSocket": {"port": 22222}}, {}),
            ([f"warning {ANSWER}"], "liveness", {"tcpSocket": {"port": 22222}}, {}),
            ([f"warning {ANSWER}"], "startup", {"tcpSocket": {"port": "22222"}}, {}),
            ([f"error {ANSWER}"], "liveness", {"grpc": {"port": 22222}}, {}),
            ([f"error {ANSWER}"], "readiness", get("/ready", 22222, scheme="HTTPS"), {}),
            ([], "readiness", get("/ready", 22222, scheme="HTTP"), {}),
            (["warning app-probe"], "readiness", {"tcpSocket": {"port": 8080}}, {}),
            ([], "readiness", {"grpc": {"port": 9000}}, {}),
            (["warning app-probe"], "readiness", get("/health", 8443, scheme="HTTPS"), {}),
            ([], "readiness", {"tcpSocket": {"port": 22222}}, {"envFrom": [{}]}),
            ([f"error {ANSWER}"], "readiness", {"tcpSocket": {"port": "qos"}},
             {"ports": [{"name": "qos", "containerPort": 22222}]}),
        )
    ),
    ([], (pod(WEB | probe("readiness", {"tcpSocket": {"port": 8080}})),)),
    # By a command: what is right
    *(
        ([], (asked("readiness", *command),))
        for command in (
            ["curl", "-f", "localhost:22222/ready"],
            ["curl", "-fsS", "-m2", "http://127.0.0.1:22222/readyz"],
            ["curl", "--fail-with-body", "http://[::1]:22222/ready/orders"],
            ["wget", "-qO-", "http://localhost:22222/ready"],
            ["wget", "-q", "--spider", "localhost:22222/ready?exclude=db"],
            ["busybox", "wget", "-q", "-T", "2", "-O", "/dev/null", "http://localhost:22222/ready"],
            [*SH, "curl -sf -m 2 localhost:22222/ready || exit 1"],
            [*SH, "curl -sf --max-time 2 localhost:22222/ready && echo up"],
            [*SH, "curl -s -m 2 localhost:22222/ready | grep -q true"],
            [*SH, "exec curl -f http://localhost:22222/ready"],
            [*SH, "timeout 2 curl -f http://localhost:22222/ready"],
            [*SH, 'test "$(curl -s -m 2 localhost:22222/ready)" = true'],
            [*SH, "curl -f -m 2 http://localhost:${LIFECYCLE_QOS_PORT:-22222}/ready"],
            ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:22222/ready')"],
            ["python3", "-c", "import httpx; httpx.get('http://localhost:22222/ready').raise_for_status()"],
            ["lifecycle", "probe", "--port", "22222", "ready"],
            ["nc", "-z", "localhost", "8080"],
            ["bash", "-c", "exec 3<>/dev/tcp/::1/22222; echo -e 'GET /ready\\n' >&3; grep true <&3"],
            ["cat", "/tmp/ready"],
            [*SH, "printf 'GET /ready HTTP/1.0\\r\\n\\r\\n' | nc -w2 localhost 22222 | grep -q 200"],
            [*SH, "nc -w2 localhost 22222 <<EOF | grep -q true\nGET /ready HTTP/1.0\n\nEOF"],
            ["python", "-c", "import socket; s = socket.create_connection(('localhost', 22222));"
             "s.sendall(b'GET /ready HTTP/1.0\\r\\n\\r\\n'); assert b'200' in s.makefile('rb').readline()"],
            ["sh", "-e", "-c", "curl -f -m 2 localhost:22222/ready; echo up"],
            ["python", "-c", "import httpx; r = httpx.get('http://localhost:22222/ready')\n"
             "if r.text != 'true': raise SystemExit(1)"],
            [*SH, "curl $OPTIONS -m 2 localhost:22222/ready"],
            ["curl", "-m2", "-K", "/etc/curl.conf", "localhost:22222/ready"],
            [*SH, "curl -fm2 localhost:22222/live && curl -fm2 localhost:22222/ready"],
        )
    ),
    # By a command: what is not
    *(
        (expected, (asked(kind, *command, **more),))
        for expected, kind, command, more in (
            ([f"error {ANSWER}"], "readiness", ["curl", "-s", "localhost:22222/ready"], {}),
            ([f"warning {ANSWER}"], "liveness", ["curl", "localhost:22222/live"], {}),
            ([f"error {ANSWER}"], "readiness",
             [*SH, "curl -s -m 2 localhost:22222/ready || exit 1"], {}),
            ([f"error {ANSWER}"], "readiness",
             [*SH, "curl -f -m 2 localhost:22222/ready || true"], {}),
            ([f"error {ANSWER}"], "readiness",
             [*SH, "curl -f -m 2 localhost:22222/ready; exit 0"], {}),
            ([f"error {ANSWER}"], "readiness", [*SH, "curl -f -m 2 localhost:22222/ready &"], {}),
            ([f"error {ANSWER}"], "readiness", [*SH, "lifecycle probe ready || true"], {}),
            ([], "readiness", ["sh", "-ec", "curl -f -m 2 localhost:22222/ready; echo up"], {}),
            ([f"error {ANSWER}"], "readiness", ["curl", "-fk", "https://localhost:22222/ready"], {}),
            ([f"error {ANSWER}"], "readiness",
             ["curl", "-f", "--http2-prior-knowledge", "http://localhost:22222/ready"], {}),
            ([f"error {ANSWER}"], "readiness", ["grpc_health_probe", "-addr=:22222"], {}),
            ([f"error {ANSWER}"], "readiness", ["nc", "-z", "-w1", "localhost", "22222"], {}),
            ([f"warning {ANSWER}"], "liveness", ["bash", "-c", "</dev/tcp/127.0.0.1/22222"], {}),
            ([f"error {ANSWER}"], "readiness",
             ["bash", "-c", "cat < /dev/null > /dev/tcp/localhost/22222 && echo already up"], {}),
            ([f"error {ANSWER}"], "readiness", [*SH, "printf 'GET /\\r\\n' | nc localhost 22222"], {}),
            ([f"error {ANSWER}"], "readiness", [*SH, "pg_isready && nc -vz localhost 22222"], {}),
            ([f"error {ANSWER}"], "readiness", [*SH, "curl -m 2 localhost:22222/ready $MORE_PATH/x"], {}),
            (["error liveness-equals-readiness"], "liveness",
             [*SH, "curl -fm2 localhost:22222/live && curl -fm2 localhost:22222/ready"], {}),
            ([f"error {ANSWER}"], "readiness",
             ["python", "-c", "import socket; socket.create_connection(('localhost', 22222))"], {}),
            ([f"error {ANSWER}"], "readiness",
             ["python", "-c", "import requests; requests.get('http://localhost:22222/ready')"], {}),
            ([f"warning {ANSWER}"], "readiness", ["wget", "-q", "localhost:22222/ready"], {}),
            ([f"error {ANSWER}"], "readiness", ["wget", "-q", "localhost:22222/ready"], LOCKED),
            (["error qos-path"], "readiness", ["curl", "-f", "localhost:22222/health"], {}),
            (["error qos-path"], "readiness", ["wget", "-qO-", "127.0.0.1:22222"], {}),
            (["error qos-path"], "readiness", ["curl", "-f", "localhost:22222/live"], {}),
            (["warning qos-path"], "liveness", ["curl", "-f", "localhost:22222/grpc"],
             env(LIFECYCLE_PLUGINS="ours")),
            (["error qos-path"], "liveness", ["lifecycle", "probe", "liveness"], {}),
            (["error liveness-equals-readiness"], "liveness",
             ["curl", "-f", "localhost:22222/readyz"], {}),
            (["error liveness-equals-readiness"], "liveness",
             ["python", "-c", "from urllib.request import *; urlopen('http://[::1]:22222/ready')"], {}),
            *(
                (["error liveness-equals-readiness"], "liveness", [*SH, f"curl -fm2 localhost:{port}/ready"], more)
                for port, more in (
                    ("${LIFECYCLE_QOS_PORT:-22222}", {}),
                    ("$LIFECYCLE_QOS_PORT", {}),
                )
            ),
            ([], "readiness", [*SH, "curl -fm2 localhost:$LIFECYCLE_QOS_PORT/ready"], {}),
            ([], "liveness", [*SH, "curl -fm2 localhost:$PORT/ready"], {}),
            *(
                (expected, kind, [*SH, f'[ "$(curl -sm2 -o /dev/null -w %{{http_code}} {url})" = 200 ]'], {})
                for expected, kind, url in (
                    (["error liveness-equals-readiness"], "liveness", "localhost:22222/ready"),
                    (["error qos-path"], "readiness", "localhost:22222/live"),
                    ([], "readiness", "localhost:22222/ready"),
                    ([], "liveness", "localhost:22222/live"),
                    (["warning app-probe"], "liveness", "localhost:8080/ready"),
                )
            ),
            ([], "readiness", [*SH, "out=$(curl -sm2 localhost:22222/ready)\n"
             "case $out in true) exit 0;; *) exit 1;; esac"], {}),
            ([f"error {ANSWER}"], "readiness", ["grpc-health-probe", "-addr=localhost:22222"], {}),
            ([f"error {ANSWER}"], "readiness",
             ["grpcurl", "-plaintext", "localhost:22222", "grpc.health.v1.Health/Check"], {}),
            ([], "readiness", ["grpcurl", "-plaintext", "localhost:9000", "grpc.health.v1.Health/Check"], {}),
            (["error probe-port"], "readiness", ["lifecycle", "probe", "ready", "--port=9"], {}),
            (["warning probe-port"], "readiness", ["curl", "-f", "localhost:2222/ready"], WEB),
            (["warning probe-port"], "readiness", ["curl", "-f", "localhost/ready"], WEB),
            *(
                (["warning app-probe"], "readiness", command, WEB)
                for command in (
                    ["curl", "-f", "localhost:8080/ready"],
                    ["curl", "-f", "http://localhost:8080/health"],
                    ["curl", "http://localhost:8080/health"],
                    ["curl", "-f", "https://localhost:8443/health"],
                )
            ),
            ([], "readiness", ["curl", "-f", "localhost:$PORT/health"], WEB),
            (["error probe-port"] * 3, "readiness", ["curl", "-f", "localhost:22222/ready"],
             env(LIFECYCLE_QOS_PORT="9000")),
            ([], "readiness", ["curl", "-f", "localhost:22222/ready"],
             {"env": [{"name": "LIFECYCLE_QOS_PORT", "valueFrom": {}}]}),
            (["error probe-timeout"], "readiness",
             ["curl", "-f", "-m", "0.5", "localhost:22222/ready"], {}),
            (["error probe-timeout"], "readiness",
             ["timeout", "0.5", "wget", "-qO-", "localhost:22222/ready"], {}),
            (["warning probe-timeout"], "readiness", [*SH, "curl -f localhost:22222/ready"], {}),
        )
    ),
    # Probes that the app answers, and a port `qos` with another number
    *(
        (expected, (pod(SERVED | {"ports": PORTS} | probe(kind, handler) | more),))
        for expected, kind, handler, more in (
            (["warning app-probe"], "readiness", get("/healthz", "http"), {}),
            (["warning app-probe"], "readiness", get("/ready", "http"), {}),
            (["warning app-probe"], "liveness", get("/healthz", 8000), {}),
            (["warning app-probe"], "startup", get("/startup", "http"), {}),
            ([], "startup", get("/healthz", "http"), {}),
            (["error probe-port"], "readiness", get("/ready", "nowhere"), {}),
            (["warning probe-port"], "readiness", get("/ready", 9000), {}),
            (["warning app-probe", "warning probe-port"], "readiness", get("/healthz", 9000), {}),
            (["warning probe-port"], "liveness", get("/live", 22223), {}),
            ([], "readiness", get("/app-health/orders/readyz", 15020), {}),
            (["error probe-port"] * 2, "readiness", get("/healthz", "http"), env(LIFECYCLE_QOS_PORT="0")),
            ([], "readiness", get("/healthz", "http"), {"envFrom": [{}]}),
            (["error probe-port"], "readiness", get("/ready", "qos"), {"ports": MISNUMBERED}),
            (["error probe-port"], "liveness", get("/live", 22223), {"ports": MISNUMBERED}),
            ([], "readiness", get("/ready", "qos"), {"ports": MISNUMBERED, "envFrom": [{}]}),
            ([], "startup", get("/startup", "qos"), {"ports": [{"name": "qos", "containerPort": 22222}]}),
        )
    ),
    (
        ["warning app-probe"] * 2 + ["warning liveness-equals-readiness"],
        (pod(WRAPPED | {f"{kind}Probe": get("/healthz", "http")
                        for kind in ("startup", "readiness", "liveness")}),),
    ),
    (["warning no-prestop", "warning startup-probe"],
     (pod(WEB | {"command": ["gunicorn", "a:b"]} | probe("liveness", get("/h"))
                                     | probe("readiness", get("/ready"))),)),
    (["error dependency-in-liveness"], (asked("liveness", "python", "-c",
      "import urllib.request as u; u.urlopen('http://db.example/up')"),)),
]  # fmt: skip
