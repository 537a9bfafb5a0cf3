"""Every rule: what it finds, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.checks.rules import RULES
from tests.checks.kit import PRESTOP, QOS, RUN, env, found, found_in, owner, pod, said
from tests.checks.styles import STYLES

WEB = {"ports": [{"containerPort": 8080}]}
PORT = "probe-port"


def sleep(*command: str) -> dict[str, Any]:
    return {"lifecycle": {"preStop": {"exec": {"command": list(command)}}}}


def http(token: str | None) -> dict[str, Any]:
    headers = [] if token is None else [{"name": "x-lifecycle-token", "value": token}]
    return {
        "lifecycle": {
            "preStop": {"httpGet": {"path": "prestop", "port": 22222, "httpHeaders": headers}}
        }
    }


def probe(kind: str, handler: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {f"{kind}Probe": {**handler, **more}}


def get(path: str, port: object = 8080, **more: Any) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port, **more}}


START = probe("startup", get("/s"))
SH = ["sh", "-c"]
SERVED = RUN | QOS | PRESTOP
MANAGED = {"command": ["uvicorn", "a:b"]} | QOS
TOKEN = "0123456789abcdef"
ON_NODE = {"hostNetwork": True}
HPA = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "any"},
    "spec": {"minReplicas": 1, "scaleTargetRef": {"kind": "Deployment", "name": "orders"}},
}


def deployment(container: dict[str, Any] = WEB, **spec: Any) -> dict[str, Any]:
    return owner("Deployment", pod(container), **spec)


def rolling(value: object) -> dict[str, Any]:
    return {"strategy": {"rollingUpdate": {"maxUnavailable": value}}}


TABLE: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # grace-period
    ([], (pod(SERVED),)),
    (["error grace-period"], (pod(SERVED, terminationGracePeriodSeconds=20),)),
    ([], (pod(SERVED | env(LIFECYCLE_GRACE_PERIOD="20"), terminationGracePeriodSeconds=20),)),
    ([], (pod(SERVED | env(LIFECYCLE_GRACE_PERIOD="20")),)),
    ([], (pod(SERVED | {"envFrom": [{}]}, terminationGracePeriodSeconds=20),)),
    (["error grace-period"], (pod(WEB, terminationGracePeriodSeconds=0),)),
    (["error grace-period", "warning prestop-sleep"], (pod(WEB | sleep("sleep", "30")),)),
    (["error grace-period", "warning prestop-sleep"], (pod(WEB | sleep(*SH, "sleep 1m")),)),
    (["warning prestop-sleep"], (pod(WEB | sleep("sleep", "29")),)),
    (
        ["error grace-period", "warning prestop-sleep"],
        (pod({"args": ["gunicorn", "--graceful-timeout=20"]} | sleep("sleep", "15")),),
    ),
    (
        ["error grace-period"],
        (pod({"args": ["uvicorn", "a:b", "--timeout-graceful-shutdown", "31"]}),),
    ),
    (["error grace-period", "error prestop-sleep"], (pod(RUN | QOS | sleep("sleep", "20")),)),
    # settings
    (["error settings"], (pod(SERVED | env(LIFECYCLE_SETTLE="25")),)),
    (["error settings"], (pod(SERVED | env(LIFECYCLE_QOS_PORT="http")),)),
    ([], (pod(SERVED | {"env": [
        {"name": "LIFECYCLE_SETTLE", "value": "28"},
        {"name": "LIFECYCLE_GRACE_PERIOD", "valueFrom": {"configMapKeyRef": {}}},
    ]}, terminationGracePeriodSeconds=60),)),
    # prestop-sleep
    (["error prestop-sleep"], (pod(RUN | QOS | {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}),)),
    (["warning prestop-sleep"], (pod(sleep("python3", "-c", "import time; time.sleep(5)")),)),
    ([], (pod(sleep(*SH, "nginx -s quit; sleep 10")),)),
    ([], (pod(sleep(*SH, "sleep 5 && kill -QUIT 1")),)),
    # shell-pid-1
    (["error shell-pid-1"], (pod({"command": [*SH, "python app.py"]}),)),
    (["error shell-pid-1"], (pod({"command": SH, "args": ["A=1 python app.py"]}),)),
    (["warning shell-pid-1"], (pod({"command": ["/bin/bash", "-lc", "python app.py"]}),)),
    (["error shell-pid-1"], (pod({"command": ["bash", "-c", "exec_it | tee log"]}),)),
    ([], (pod({"command": [*SH, "migrate && exec python app.py"]}),)),
    ([], (pod({"command": [*SH, "LEVEL=1 exec lifecycle run a:b 2>&1"]}),)),
    ([], (pod({"command": [*SH, "cd /x; exec app $(cat a | b) 'c; d'\n"]}),)),
    ([], (pod({"command": [*SH, "trap 'kill $p' TERM; app & p=$!; wait"]}),)),
    ([], (pod({"command": ["tini", "-g", "--", *SH, "a; b"]}),)),
    ([], (pod({"command": ["sh", "/entrypoint.sh"]}),)),
    ([], (pod({"command": ["bash"]}),)),
    ([], (pod({}, initContainers=[{"name": "i", "command": [*SH, "a; b"]}]),)),
    (
        ["error shell-pid-1"],
        (pod({}, initContainers=[{"restartPolicy": "Always", "command": [*SH, "a"]}]),),
    ),
    # prestop-token
    (["error prestop-token"], (pod(RUN | http(None)),)),
    (["error prestop-token"], (pod(RUN | http(TOKEN)),)),
    (["error prestop-token"], (pod(RUN | http(TOKEN) | env(LIFECYCLE_PRESTOP_TOKEN="x" * 16)),)),
    ([], (pod(RUN | http(TOKEN) | env(LIFECYCLE_PRESTOP_TOKEN=TOKEN)),)),
    ([], (pod(RUN | http(TOKEN) | {"env": [
        {"name": "LIFECYCLE_PRESTOP_TOKEN", "valueFrom": {"secretKeyRef": {}}}
    ]}),)),
    (["error prestop-token"], (pod(RUN | http("a$$b" * 6) | env(LIFECYCLE_PRESTOP_TOKEN="a$$b" * 6)),)),
    ([], (pod(RUN | http("a$b" * 6) | env(LIFECYCLE_PRESTOP_TOKEN="a$$b" * 6)),)),
    ([], (pod(RUN | http("$(HOST)" * 3) | env(LIFECYCLE_PRESTOP_TOKEN="$$(HOST)" * 3)),)),
    ([], (pod(RUN | http(TOKEN) | env(LIFECYCLE_PRESTOP_TOKEN="$(OTHER)" * 3)),)),
    # run-dir
    *(
        (expected, (pod(SERVED | env(LIFECYCLE_RUN_DIR="/run/us") | {
            "securityContext": {"readOnlyRootFilesystem": locked}, "volumeMounts": mounts,
        }),))
        for expected, locked, mounts in (
            (["error run-dir"], True, []),
            (["error run-dir"], True, [{"mountPath": "/run/us", "readOnly": True}]),
            (["error run-dir"], True, [{"mountPath": "/run/u"}]),
            ([], True, [{"mountPath": "/run/us/"}]),
            ([], True, [{"mountPath": "/run"}]),
            ([], False, []),
        )
    ),
    # managed-prestop, managed-workers
    (["error managed-prestop"], (pod(MANAGED),)),
    (["error managed-prestop"], (pod(MANAGED | sleep("nginx", "-s", "quit")),)),
    ([], (pod(MANAGED | PRESTOP),)),
    ([], (pod(MANAGED | sleep(*SH, "exec lifecycle prestop --port 22222")),)),
    ([], (pod({"command": ["uvicorn", "a:b", "--workers", "4"]}),)),
    ([], (pod({"command": ["uvicorn", "a:b", "--workers", "1"]} | QOS | PRESTOP),)),
    (["error managed-workers"], (pod({"command": ["gunicorn", "-w", "4"]} | QOS | PRESTOP),)),
    (["error managed-workers"], (pod({"command": ["granian", "--workers=2"]} | QOS | PRESTOP),)),
    # probe-port
    ([f"error {PORT}"], (pod(WEB | probe("readiness", get("/", "http"))),)),
    ([f"warning {PORT}"], (pod(WEB | probe("readiness", get("/", 8081))),)),
    ([f"warning {PORT}"], (pod(WEB | probe("readiness", {"grpc": {"port": 9000}})),)),
    ([f"error {PORT}"], (pod(WEB | probe("readiness", get("/", host="localhost"))),)),
    ([], (pod(WEB | probe("readiness", get("/", host="127.0.0.1")), **ON_NODE),)),
    ([], (pod(WEB | probe("readiness", get("/", "8080"))),)),
    ([], (pod(probe("readiness", get("/", 9)), WEB | {"ports": [{"containerPort": 9}]}),)),
    ([], (pod(WEB | SERVED),)),
    *(
        ([f"error {PORT}"] * 3, (pod(SERVED | env(**{name: value})),))
        for name, value in (
            ("LIFECYCLE_QOS_ENABLED", "false"),
            ("LIFECYCLE_QOS_HOST", "127.0.0.1"),
            ("LIFECYCLE_QOS_PORT", "9000"),
            ("LIFECYCLE_QOS_PORT", "0"),
        )
    ),
    # liveness-equals-readiness, startup-probe
    (
        ["error liveness-equals-readiness"],
        (pod(SERVED | probe("liveness", get("/readyz", 22222))),),
    ),
    (
        ["warning liveness-equals-readiness"],
        (pod(START | WEB | probe("liveness", get("/h")) | probe("readiness", get("/h"))),),
    ),
    (
        [],
        (pod(START | WEB | probe("liveness", get("/h"), failureThreshold=9)
             | probe("readiness", get("/h"))),),
    ),
    (["warning startup-probe"], (pod(WEB | probe("liveness", get("/h"))),)),
    # probe-timeout
    (["error probe-timeout"] * 3, (pod(SERVED | env(LIFECYCLE_PROBE_TIMEOUT="1")),)),
    ([], (pod({**RUN, **QOS, "envFrom": [{"configMapRef": {"name": "c"}}]}),)),
    # dependency-in-liveness
    *(
        (expected, (pod(START | probe("liveness", {"exec": {"command": list(command)}})),))
        for expected, command in (
            (["error dependency-in-liveness"], ["pg_isready", "-h", "db.prod"]),
            (["error dependency-in-liveness"], [*SH, "curl -f http://auth:80/health || exit 1"]),
            ([], ["pg_isready", "-h", "127.0.0.1"]),
            ([], [*SH, "wget -q http://localhost:8080/ -O -"]),
            ([], [*SH, "curl -f http://$HOSTNAME:8080"]),
            ([], ["redis-cli", "ping"]),
            ([], ["test", "-h", "file"]),
        )
    ),
    (
        ["error dependency-in-liveness"],
        (pod(START | probe("liveness", {"tcpSocket": {"host": "db", "port": 5432}})),),
    ),
    *(
        (expected, (pod(START | probe("liveness", get(path))),))
        for expected, path in (
            (["warning dependency-in-liveness"], "/health/db"),
            (["warning dependency-in-liveness"], "/actuator/health"),
            ([], "/actuator/health/liveness"),
            ([], "/already"),
        )
    ),
    # max-unavailable, one-replica
    ([], (deployment(replicas=2, **rolling(1)),)),
    (["error max-unavailable"], (deployment(replicas=2, **rolling(2)),)),
    (["error max-unavailable"], (deployment(replicas=3, **rolling("100%")),)),
    ([], (deployment(replicas=3, **rolling("99%")),)),
    ([], (deployment(replicas=0, **rolling(1)),)),
    (["warning max-unavailable"], (deployment(replicas=2, strategy={"type": "Recreate"}),)),
    ([], (deployment({}, replicas=2, strategy={"type": "Recreate"}),)),
    (
        ["warning max-unavailable"],
        (owner("DaemonSet", pod(WEB), updateStrategy={"rollingUpdate": {"maxUnavailable": "100%"}}),),
    ),
    (["warning one-replica"], (deployment(),)),
    (["warning one-replica"], (deployment(replicas=2), HPA)),
    (["warning one-replica"], (owner("StatefulSet", pod(WEB), replicas=1),)),
    ([], (deployment({}),)),
    ([], (owner("ReplicaSet", pod(WEB), replicas=1),)),
    # qos-port-clash
    (["error qos-port-clash"], (pod(SERVED | {"ports": [{"containerPort": 22222, "hostPort": 1}]}),)),
    (["error qos-port-clash"], (pod(SERVED, SERVED),)),
    ([], (pod(SERVED, RUN | env(LIFECYCLE_QOS_PORT="22223")),)),
    (["warning qos-port-clash"], (pod(SERVED, **ON_NODE),)),
    (["error qos-port-clash"] * 2, (pod(SERVED, **ON_NODE), owner("DaemonSet", pod(SERVED, **ON_NODE)))),
    ([], (pod(WEB, **ON_NODE),)),
]  # fmt: skip


@pytest.mark.parametrize(("expected", "objects"), TABLE)
def test_a_rule_finds(expected: list[str], objects: tuple[dict[str, Any], ...]) -> None:
    """What is broken is found, by the rule that says so and by no other."""
    assert sorted(said(found(*objects))) == sorted(expected)


def test_every_rule_finds_something() -> None:
    """No rule is without a case here."""
    names = {each.split()[1] for expected, _ in TABLE for each in expected}

    assert names == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_explains_itself(rule: Any) -> None:
    """It says what is wrong in a line, why, and what to do."""
    assert rule.title.endswith(".")
    assert "\n" not in rule.title
    assert rule.why.endswith(".")
    assert rule.fix.endswith(".")


@pytest.mark.parametrize(("text", "expected"), [s[1:] for s in STYLES], ids=[s[0] for s in STYLES])
def test_a_public_style(text: str, expected: list[str]) -> None:
    """Manifests as the world writes them have no false error, and the findings they must have."""
    assert sorted(said(found_in(text))) == sorted(expected)


def test_an_annotation_leaves_a_rule_out() -> None:
    """Who means it says so, on the workload or the pod template; other rules still look."""
    made = deployment(WEB | sleep("sleep", "5"))
    assert sorted(said(found(made))) == ["warning one-replica", "warning prestop-sleep"]

    made["metadata"]["annotations"] = {"pod-lifecycle.dev/ignore": "one-replica, nosuch"}
    assert said(found(made)) == ["warning prestop-sleep"]

    made["spec"]["template"]["metadata"] = {
        "annotations": {"pod-lifecycle.dev/ignore": "prestop-sleep"}
    }
    assert said(found(made)) == []


def test_a_finding_says_where() -> None:
    """It has the file, the line of the key, the path and the object."""
    text = "\n\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: c\n    command:\n"
    (finding,) = found_in(text + "    - sh\n    - -c\n    - app\n")

    assert (finding.file, finding.line) == ("f.yaml", 8)
    assert (finding.path, finding.object) == ("spec.containers[0].command", "Pod/a")
