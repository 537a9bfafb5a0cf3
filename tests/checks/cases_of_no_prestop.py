"""Cases of servers that stop at SIGTERM without a preStop hook before them."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, QOS, SH, WEB, env, get, owner, pod, probe, sleep

FOUND = ["warning no-prestop"]
UVICORN = {"command": ["uvicorn", "shop.main:app", "--host", "0.0.0.0", "--port", "8080"]}
LOCAL = {"command": ["uvicorn", "shop.main:app"]}
NGINX = {"image": "nginx", "ports": [{"containerPort": 80}]}


def _job(kind: str, made: dict[str, Any]) -> dict[str, Any]:
    return owner(kind, made) | {"apiVersion": "batch/v1"}


CASES: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    *(
        (FOUND, (pod(WEB | {"command": command}),))
        for command in (
            UVICORN["command"],
            ["gunicorn", "-b", "0.0.0.0:8080", "shop.wsgi"],
            ["hypercorn", "-b", "0.0.0.0:8080", "-w", "2", "a:b"],
            ["granian", "--host", "0.0.0.0", "a:b"],
            ["waitress-serve", "--port=8080", "a:b"],
            ["flask", "run", "--host", "0.0.0.0"],
            ["sanic", "a.b", "--host", "0.0.0.0"],
            ["python", "-m", "uvicorn", "a:b"],
            ["tini", "--", "uvicorn", "a:b"],
            ["poetry", "run", "uvicorn", "a:b"],
            [*SH, "./manage.py migrate && exec gunicorn shop.wsgi"],
        )
    ),
    (FOUND, (pod(UVICORN | probe("readiness", {"tcpSocket": {"port": 8080}}) | WEB),)),
    (FOUND, (pod(UVICORN | WEB | {"lifecycle": {"postStart": {"exec": {"command": ["true"]}}}}),)),
    (FOUND, (owner("StatefulSet", pod(UVICORN | WEB), replicas=2),)),
    (
        FOUND * 2,
        (pod(UVICORN | WEB, LOCAL | {"command": ["uvicorn", "a:b", "--host", "::"]} | WEB),),
    ),
    # it has a hook, or pod-lifecycle
    (["warning prestop-sleep"], (pod(UVICORN | WEB | sleep("sleep", "5")),)),
    ([], (pod(UVICORN | WEB | sleep("/app/leave")),)),
    ([], (pod(UVICORN | WEB | QOS | PRESTOP),)),
    (["error managed-prestop"], (pod(UVICORN | WEB | QOS),)),
    (["error managed-prestop"], (pod(UVICORN | WEB | env(LIFECYCLE_SETTLE="5")),)),
    (
        [],
        (
            pod(
                WEB
                | {
                    "command": [
                        "lifecycle",
                        "run",
                        "--service",
                        "a:8080",
                        "--",
                        *UVICORN["command"],
                    ]
                }
            ),
        ),
    ),
    # nobody calls it, or something else may run
    ([], (pod(UVICORN),)),
    ([], (_job("Job", pod(UVICORN | WEB)),)),
    ([], (pod(WEB | {"command": ["celery", "-A", "a", "worker"]}),)),
    ([], (pod(WEB | {"args": UVICORN["command"]}),)),
    ([], (pod(WEB | {"command": ["/entrypoint.sh", *UVICORN["command"]]}),)),
    ([], (pod(WEB | {"command": [*SH, "warm & exec uvicorn a:b"]}),)),
    ([], (pod(WEB),)),
    ([], (pod(LOCAL, NGINX),)),
    ([], (pod(LOCAL | probe("readiness", get("/", 80)), NGINX),)),
    # another rule is about how it stops
    (["warning shell-pid-1"], (pod(WEB | {"command": [*SH, "uvicorn a:b"]}),)),
    (["error conda-run"], (pod(WEB | {"command": ["conda", "run", "uvicorn", "a:b"]}),)),
    (["warning reload"], (pod(WEB | {"command": ["uvicorn", "a:b", "--reload"]}),)),
]
