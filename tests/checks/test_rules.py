"""Every rule: what it finds, and what it leaves alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lifecycle.checks.rules import RULES
from lifecycle.checks.rules.prestop_hooks import COMMANDS as COMMANDS_IN_HOOKS
from lifecycle.cli.commands import COMMANDS
from tests.checks.cases_of_endings import ENDINGS
from tests.checks.cases_of_hooks import HOOKS
from tests.checks.cases_of_no_prestop import CASES as NO_PRESTOP
from tests.checks.cases_of_probes import PROBED
from tests.checks.cases_of_quoted import CASES as QUOTED
from tests.checks.cases_of_servers import SERVERS
from tests.checks.cases_of_termination import TERMINATION
from tests.checks.cases_of_unwrapped import UNWRAPPED
from tests.checks.cases_of_variables import VARIABLES
from tests.checks.cases_of_wrapped import WRAPPED
from tests.checks.kit import (
    MANAGED,
    ON_NODE,
    PRESTOP,
    QOS,
    RUN,
    SERVED,
    SH,
    START,
    WEB,
    env,
    found,
    found_in,
    get,
    look,
    owner,
    pod,
    probe,
    said,
    sleep,
)
from tests.checks.styles import STYLES
from tests.checks.test_shapes import FILES

FINDING = re.compile(r"^# expect: +(?:error|warning) (\S+)", re.MULTILINE)

PORT = "probe-port"
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
    *TERMINATION,
    *ENDINGS,
    *HOOKS,
    *SERVERS,
    *WRAPPED,
    *UNWRAPPED,
    *QUOTED,
    *NO_PRESTOP,
    *VARIABLES,
    *PROBED,
    # managed-prestop, managed-workers
    *(
        (["error managed-prestop"], (pod(QOS | {"command": command}),))
        for command in (
            [*SH, "cd /app && python manage.py migrate --noinput && exec gunicorn a:b"],
            ["opentelemetry-instrument", "--service_name", "a", "/venv/bin/uvicorn", "a:b"],
            ["tini", "--", "env", "A=1", "python", "-u", "-m", "hypercorn", "a:b"],
            [*SH, "exec poetry run granian a:b"],
        )
    ),
    ([], (pod(QOS | {"command": [*SH, "pip install uvicorn && exec ./app"]}),)),
    *(
        (expected, (pod(QOS | PRESTOP | {"command": command} | env(**variables)),))
        for expected, command, variables in (
            (["error managed-workers"], ["gunicorn", "-w4", "a:b"], {}),
            (["error managed-workers"], ["uvicorn", "a:b"], {"WEB_CONCURRENCY": "4"}),
            (["error managed-workers"], ["gunicorn", "a"], {"GUNICORN_CMD_ARGS": "-x --workers=4"}),
            ([], ["uvicorn", "a:b", "--workers", "1"], {"WEB_CONCURRENCY": "4"}),
            ([], ["hypercorn", "a:b"], {"WEB_CONCURRENCY": "4"}),
            ([], ["uvicorn", "a:b"], {"CPUS": "4", "WEB_CONCURRENCY": "$(CPUS)"}),
        )
    ),
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
        ([f"error {PORT}"] * 3, (pod(RUN | QOS | env(**{name: value})),))
        for name, value in (
            ("LIFECYCLE_QOS_ENABLED", "false"),
            ("LIFECYCLE_QOS_HOST", "127.0.0.1"),
            ("LIFECYCLE_QOS_PORT", "9000"),
            ("LIFECYCLE_QOS_PORT", "0"),
        )
    ),
    # qos-path
    *(
        (expected, (pod({**SERVED, **probe(kind, get(path, 22222)), **more}),))
        for expected, kind, path, more in (
            (["error qos-path"], "liveness", "/healthz", {}),
            (["warning qos-path"], "liveness", "/healthz", env(LIFECYCLE_PLUGINS="ours")),
            (["error qos-path"], "readiness", "/livez", {}),
            (["warning qos-path"], "startup", "/ready", {}),
            ([], "readiness", "/ready/postgres", {}),
            ([], "readiness", "/readyz?exclude=postgres", {}),
            ([], "readiness", "/elsewhere", {"envFrom": [{}]}),
        )
    ),
    *(
        (expected, (pod({**SERVED, **probe(kind, {"exec": {"command": list(command)}}, **more)}),))
        for expected, kind, command, more in (
            ([], "liveness", ["lifecycle", "probe", "live"], {}),
            (["error liveness-equals-readiness"], "liveness", ["lifecycle", "probe", "ready"], {}),
            (["error qos-path"], "readiness", [*SH, "exec /venv/bin/lifecycle probe live"], {}),
            (["error probe-timeout"], "readiness", ["lifecycle", "probe", "ready"],
             {"timeoutSeconds": 0.5}),
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
            (["error dependency-in-liveness"], ["nc", "-z", "-w", "2", "db", "5432"]),
            (["error dependency-in-liveness"], ["mysqladmin", "-hdb", "ping"]),
            (["error dependency-in-liveness"], ["curl", "-fsS", "-m", "1", "db:8080/x"]),
            (["error dependency-in-liveness"], ["grpc_health_probe", "-addr=db:50051"]),
            ([], ["grpc_health_probe", "-addr=:50051"]),
            ([], ["nc", "-zw1", "localhost", "5432"]),
            ([], ["pg_isready", "-h", "/var/run/postgresql"]),
            ([], ["curl", "--unix-socket", "/run/docker.sock", "http://docker/_ping"]),
            ([], ["curl", "--resolve", "a.example:443:127.0.0.1", "https://a.example/"]),
            ([], ["curl", "http://[::]:8080"]),
            ([], ["curl", "http://localhost.:8080"]),
            ([], [*SH, "curl http://`hostname -i`:80"]),
            ([], ["curl", "-H", "Referer: http://example.com/", "localhost:8080"]),
            ([], [*SH, "curl --data a:1 http://127.0.0.1/ # not http://db:80"]),
            ([], ["test", "-h", "file"]),
        )
    ),
    (
        ["error dependency-in-liveness"],
        (pod(START | probe("liveness", {"tcpSocket": {"host": "db", "port": 5432}})),),
    ),
    ([], (pod(START | probe("liveness", get("/h", host="192.0.2.7")), **ON_NODE),)),
    (
        ["error dependency-in-liveness"],
        (pod(START | probe("liveness", get("/h", host="192.0.2.7"))),),
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
    ([], (deployment({}, replicas=1, **rolling(1)),)),
    (["warning max-unavailable"], (deployment(replicas=2, strategy={"type": "Recreate"}),)),
    ([], (deployment({}, replicas=2, strategy={"type": "Recreate"}),)),
    (
        ["warning max-unavailable"],
        (owner("DaemonSet", pod(WEB), updateStrategy={"rollingUpdate": {"maxUnavailable": "100%"}}),),
    ),
    (["warning one-replica"], (deployment(),)),
    (["warning one-replica"], (deployment(replicas=2), HPA)),
    *(
        (expected, (owner("StatefulSet", pod(WEB), replicas=replicas, updateStrategy={
            "rollingUpdate": {"maxUnavailable": replicas}
        }),))
        for expected, replicas in ((["warning one-replica"], 1), (["error max-unavailable"], 2))
    ),
    (["warning one-replica"], (owner("StatefulSet", pod(WEB), replicas=1),)),
    ([], (deployment({}),)),
    ([], (owner("ReplicaSet", pod(WEB), replicas=1),)),
    # qos-port-clash
    (["error qos-port-clash"], (pod(SERVED | {"ports": [{"containerPort": 22222, "hostPort": 1}]}),)),
    (["warning qos-port-clash"], (pod(SERVED | {"ports": [
        {"containerPort": 22222}, {"containerPort": 8080, "hostPort": 22222}
    ]}),)),
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
    """No rule is without a case, here or among the shapes."""
    names = {each.split()[1] for expected, _ in TABLE for each in expected}
    names |= {found[1] for file in FILES for found in FINDING.finditer(file.read_text())}

    assert names == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_explains_itself(rule: Any) -> None:
    """It says what is wrong in a line, why, what to do, and where that is written."""
    assert rule.title.endswith(".")
    assert "\n" not in rule.title
    assert rule.why.endswith(".")
    assert rule.fix.endswith(".")
    assert rule.sources


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


def test_a_command_in_one_word() -> None:
    """The fix has the list to write, with a shell if the command needs one."""
    fixes = {
        "uvicorn a:b --port 80": '["uvicorn", "a:b", "--port", "80"]',
        "uvicorn a:b --port $PORT": '["sh", "-c", "exec uvicorn a:b --port $PORT"]',
        "cd /app && exec uvicorn a:b": '["sh", "-c", "cd /app && exec uvicorn a:b"]',
        "A=1 uvicorn a:b": '["sh", "-c", "A=1 uvicorn a:b"]',
        "sh -c 'exec uvicorn a:b'": '["sh", "-c", "exec uvicorn a:b"]',
        "uvicorn a:b 'c": '["uvicorn", "a:b", "\'c"]',
    }
    for command, words in fixes.items():
        (finding,) = found(pod({"command": [command]}))
        assert finding.fix == f"Write each word of the command as its own list item: {words}."


@pytest.mark.parametrize(
    ("command", "stop", "message", "service"),
    [
        (["uvicorn", "a:b", "--port", "9000"], {}, "uvicorn stops at SIGTERM", "c0:9000"),
        (["gunicorn", "-c", "conf.py", "a"], {}, "gunicorn stops at SIGTERM", "c0:8080"),
        (["hypercorn", "a"], {"stopSignal": "SIGINT"}, "hypercorn stops at SIGINT", "c0:8000"),
    ],
)
def test_no_prestop(command: list[str], stop: dict[str, str], message: str, service: str) -> None:
    """The fix has the service and its port."""
    made = pod(WEB | {"command": command, "lifecycle": stop}, os={"name": "linux"})
    (finding,) = found(made)
    assert finding.message == f"c0: {message}, and there is no preStop"
    assert finding.fix.startswith(f"Put `lifecycle run --service {service} --` in front of the ")
    assert "sleep: {seconds: 5}" in finding.fix


def test_a_service_of_another_environment(tmp_path: Path) -> None:
    """Of Services with the same names, those of the nearest files count."""
    made = deployment(replicas=2)
    made["spec"] |= {"selector": {"matchLabels": {"app": "orders"}}}
    made["spec"]["template"] = {
        "metadata": {"labels": {"app": "orders"}},
        "spec": {
            "containers": [
                {"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]},
                {"name": "app", "image": "app", **SERVED, **WEB},
            ]
        },
    }
    for folder, port in (("test", 80), ("prod", 8080)):
        (tmp_path / folder).mkdir()
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "orders"},
            "spec": {"selector": {"app": "orders"}, "ports": [{"port": port}]},
        }
        (tmp_path / folder / "deployment.json").write_text(json.dumps(made))
        (tmp_path / folder / "service.json").write_text(json.dumps(service))

    findings = look(str(tmp_path)).findings

    assert findings == ["error front-container"]


def test_a_hook_may_run_every_command() -> None:
    """What `lifecycle` has, `prestop-drain` takes for no slip of the pen; and nothing else."""
    assert set(COMMANDS) == COMMANDS_IN_HOOKS
