"""Cases of `lifecycle run -- COMMAND`: what rules still see in it, and what they no longer say."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, QOS, SH, env, pod

PARENT = ["lifecycle", "run", "--service", "shop:8000", "--"]
FROM = {"configMapRef": {"name": "settings"}}
GUNICORN = ["gunicorn", "-w", "4", "-b", "0.0.0.0:8000", "shop.wsgi"]


def _ours(*command: str, **variables: str) -> tuple[dict[str, Any], ...]:
    return (pod(QOS | PRESTOP | {"command": list(command)} | env(**variables)),)


def _wrapped(*command: str, **variables: str) -> tuple[dict[str, Any], ...]:
    return _ours(*PARENT, *command, **variables)


WRAPPED: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # what is said of a server under `Managed` is not said of one under `lifecycle run --`
    *(
        ([], made)
        for made in (
            _wrapped(*GUNICORN),
            _wrapped("gunicorn", "-k", "gthread", "--max-requests", "100", "-b:8000", "a:b"),
            _wrapped("gunicorn", "-c", "gunicorn.conf.py", "a:b"),
            _wrapped("fastapi", "run", "--workers", "4", "main.py"),
            _wrapped(*SH, "exec gunicorn -w 4 -b 0.0.0.0:8000 shop.wsgi"),
            _wrapped("poetry", "run", *GUNICORN),
            _wrapped("tini", "--", *GUNICORN),
            _wrapped("uvicorn", "--workers", "2", "--host", "0.0.0.0", "a:b"),
            _wrapped("daphne", "-b", "0.0.0.0", "-p", "8000", "a:b"),
            _wrapped("hypercorn", "-w", "2", "-b", "0.0.0.0:8000", "a:b"),
            _wrapped("python", "-m", "gunicorn", "-b", "0.0.0.0:8000", "a:b"),
            _wrapped("waitress-serve", "--port=8000", "a:b"),
            _wrapped("node", "server.js"),
            _wrapped("uwsgi", "--http-socket", ":8000", "--module", "a:b"),
            _wrapped(*SH, "migrate; gunicorn -w 4 -b 0.0.0.0:8000 a:b"),
            _wrapped("conda", "run", "-n", "web", *GUNICORN),
            _wrapped("honcho", "start"),
            _wrapped("dumb-init", "hypercorn", "-b", "0.0.0.0:8000", "a:b"),
            _ours("dumb-init", *PARENT, "hypercorn", "-b", "0.0.0.0:8000", "a:b"),
            _ours("tini", "-g", "--", *PARENT, "celery", "-A", "a", "worker"),
            _ours(*SH, "migrate && exec lifecycle run --service shop:8000 -- gunicorn -b :8000 a:b"),
            _ours("python", "-m", *PARENT, *GUNICORN),
            _wrapped("uvicorn", "--host", "0.0.0.0", "a:b", WEB_CONCURRENCY="4"),
            (pod(QOS | {"command": [*PARENT, *GUNICORN]}),),  # SIGTERM drains it too
        )
    ),
    (["warning reload"], _wrapped("uvicorn", "--host", "0.0.0.0", "--reload", "a:b")),
    (["warning conda-run", "warning hook-path"], _ours("conda", "run", *PARENT, *GUNICORN)),
    (["warning process-manager"], _ours("supervisord", "-n")),
    (["warning shell-pid-1"], _ours(*SH, "lifecycle run --service shop:8000 -- gunicorn -b :8000 a:b")),
    # not-instrumented
    *(
        (["warning not-instrumented"], _wrapped(*command))
        for command in (
            ["python", "-I", "-m", "http.server", "8000"],
            ["/usr/bin/python3.12", "-uE", "-m", "gunicorn", "-b", "0.0.0.0:8000", "a:b"],
            ["python", "-W", "error", "-S", "serve.py"],
            ["env", "-i", "PATH=/bin", "gunicorn", "-b", "0.0.0.0:8000", "a:b"],
            ["su", "-", "app", "-c", "gunicorn a:b"],
            ["runuser", "-l", "app", "-c", "gunicorn a:b"],
            ["sudo", "-u", "app", "gunicorn", "-b", "0.0.0.0:8000", "a:b"],
            ["env", "PYTHONPATH=/app", *GUNICORN],
            [*SH, "export PYTHONPATH=/app; exec gunicorn -b 0.0.0.0:8000 a:b"],
            [*SH, "PYTHONPATH=src exec gunicorn -b 0.0.0.0:8000 a:b"],
        )
    ),
    *(
        ([], _wrapped(*command))
        for command in (
            ["python", "-m", "http.server", "-I"],
            ["python", "-W", "-S", "serve.py"],
            ["env", "A=1", *GUNICORN],
            ["su", "app", "-c", "gunicorn a:b"],
            ["sudo", "-E", "-u", "app", *GUNICORN],
            [*SH, "export PYTHONPATH=/app:$PYTHONPATH; exec gunicorn -b 0.0.0.0:8000 a:b"],
        )
    ),
    ([], _ours("python", "-I", "-m", *PARENT, *GUNICORN)),
    ([], _ours("lifecycle", "run", "--instrument=no", "--", "python", "-I", "serve.py")),
    # daemonizes
    *(
        (["error daemonizes"], _wrapped(*command, **variables))
        for command, variables in (
            (["gunicorn", "--daemon", "-b", "0.0.0.0:8000", "a:b"], {}),
            ([*GUNICORN, "-D"], {}),
            (GUNICORN, {"GUNICORN_CMD_ARGS": "--daemon"}),
            (["uwsgi", "--http-socket", ":8000", "--daemonize=/var/log/uwsgi.log"], {}),
        )
    ),
    # no-service
    *(
        (["warning no-service"], _ours("lifecycle", "run", "--", *command, **variables))
        for command, variables in (
            (GUNICORN, {}),
            (["dumb-init", *GUNICORN], {}),
            (["uvicorn", "--host", "0.0.0.0", "a:b"], {"LIFECYCLE_SERVICES": ""}),
            (["gunicorn", "-c", "gunicorn.conf.py", "a:b"], {}),
            ([*SH, "migrate; exec gunicorn -b :8000 a:b"], {}),
            (["conda", "run", "-n", "web", *GUNICORN], {}),
        )
    ),
    *(
        ([], _ours("lifecycle", "run", "--", *command, **variables))
        for command, variables in (
            (GUNICORN, {"LIFECYCLE_SERVICES": "shop:8000"}),
            (["node", "worker.js"], {}),
            (["celery", "-A", "a", "worker"], {}),
            (["flask", "db", "upgrade"], {}),
        )
    ),
    ([], (pod(QOS | PRESTOP | {"command": ["lifecycle", "run", "--", *GUNICORN], "envFrom": [FROM]}),)),
    # service-port
    *(
        (["error service-port"], _wrapped(*command, **variables))
        for command, variables in (
            (["gunicorn", "-b", "0.0.0.0:8080", "a:b"], {}),
            (["gunicorn", "a:b"], {"GUNICORN_CMD_ARGS": "--bind=0.0.0.0:8080"}),
            (["uvicorn", "--host", "0.0.0.0", "--port", "8080", "a:b"], {}),
            (["uvicorn", "--host", "0.0.0.0", "a:b"], {"UVICORN_PORT": "8080"}),
            (["granian", "--host=0.0.0.0", "a:b"], {"GRANIAN_PORT": "8080"}),
            (["fastapi", "run", "--port", "8080"], {}),
            (["fastapi", "run"], {"PORT": "8080"}),
            (["hypercorn", "-b", "0.0.0.0:8080", "a:b"], {}),
            (["waitress-serve", "a:b"], {}),
            (["waitress-serve", "--listen=*:8080", "a:b"], {}),
            (["flask", "--app", "a", "run", "--host=0.0.0.0"], {}),
            (["sanic", "a:b", "--host", "0.0.0.0", "--port=8080"], {}),
            (["uwsgi", "--http-socket", "0.0.0.0:8080"], {}),
            (["daphne", "-b", "0.0.0.0", "-p", "8080", "a:b"], {}),
            ([*SH, "exec gunicorn -b :$PORT a:b"], {"PORT": "8080"}),
        )
    ),
    (["error service-port"], _ours("lifecycle", "run", "--", *GUNICORN, LIFECYCLE_SERVICES="shop:80")),
    *(
        (["warning service-port"], _wrapped(*command))
        for command in (
            ["uvicorn", "a:b"],
            ["gunicorn", "-b", "localhost:8000", "a:b"],
            ["hypercorn", "a:b"],
            ["daphne", "a:b"],
        )
    ),
    *(
        ([], _wrapped(*command, **variables))
        for command, variables in (
            (["gunicorn", "a:b"], {}),  # its own file may say where
            (["gunicorn", "-b", "unix:/run/shop.sock", "a:b"], {}),
            (["gunicorn", "-b", "0.0.0.0:8000", "-b", "0.0.0.0:8080", "a:b"], {}),
            (["gunicorn", "-b", "0.0.0.0:$PORT", "a:b"], {}),
            (["hypercorn", "-c", "hypercorn.toml", "a:b"], {}),
            (["uvicorn", "--uds", "/run/shop.sock", "a:b"], {}),
            (["flask", "db", "upgrade"], {}),
        )
    ),
    ([], _ours(*PARENT[:-1], "--service=metrics:9100", "--", *GUNICORN)),
    ([], _ours("lifecycle", "run", "--service", "shop", "--", "uvicorn", "--port", "80", "a:b")),
    ([], _ours("lifecycle", "run", "--service=shop:$(PORT)", "--", *GUNICORN, PORT="8000")),
    ([], (pod(QOS | PRESTOP | {"command": [*PARENT, "uvicorn", "a:b"]}, {"image": "front:1"}),)),
]  # fmt: skip
