"""Cases of commands in one word, which no one can start."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, QOS, SH, env, pod, probe, sleep

QUOTED = ["error quoted-command"]
SERVE = "uvicorn shop.main:app --port 8000"
WRAPPED = ["lifecycle", "run", "--service", "shop:8000", "--"]


def _command(*command: str, **more: Any) -> tuple[dict[str, Any], ...]:
    return (pod({"command": list(command)} | more),)


CASES: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    *(
        (QUOTED, _command(*command))
        for command in (
            [SERVE],
            ["node server.js"],
            ["sh -c 'exec uvicorn a:b'"],
            ["/usr/local/bin/gunicorn shop.wsgi"],
            ["/usr/bin/python3.13 -m celery -A shop worker"],
            ["/app/server --port 8000"],
            ["python manage.py", "serve"],
            ["my app"],
        )
    ),
    (QUOTED, _command("$(CMD)", **env(CMD=SERVE))),
    (QUOTED, (pod(QOS | PRESTOP | {"command": [*WRAPPED, SERVE]}),)),
    (QUOTED, (pod(QOS | PRESTOP | {"args": [*WRAPPED, SERVE]}),)),
    (QUOTED, (pod({"command": ["./app"]} | sleep("sleep 5")),)),
    (QUOTED, (pod({"command": ["./app"]} | probe("readiness", {"exec": {"command": ["a -b"]}})),)),
    (
        QUOTED,
        _command("./app", lifecycle={"postStart": {"exec": {"command": ["curl -f localhost"]}}}),
    ),
    # what may be a program, or is read by someone else
    *(
        ([], _command(*command))
        for command in (
            ["/opt/my app/bin/server"],
            ["./my app"],
            ["{{ .Values.command }}"],
            ["${PROGRAM} a:b"],
            [*SH, f"exec {SERVE}"],
            ["./app", "a b"],
            [""],
        )
    ),
    ([], _command("$(PROGRAM) a:b", envFrom=[{"configMapRef": {"name": "a"}}])),
    ([], (pod({"args": [SERVE]}),)),
    ([], (pod({"command": ["tini", "--"], "args": ["./app"]}),)),
]
