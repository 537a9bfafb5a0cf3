"""Cases of commands without `lifecycle run --`, whose probes or preStop need pod-lifecycle."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, QOS, SERVED, SH, WEB, env, get, pod, probe, sleep

ERROR = ["error not-wrapped"]
WARNING = ["warning not-wrapped"]
CELERY = ["celery", "-A", "shop", "worker"]
DJANGO = ["gunicorn", "shop.wsgi"]
FROM = {"envFrom": [{"configMapRef": {"name": "settings"}}]}


def _ours(*command: str, **variables: str) -> tuple[dict[str, Any], ...]:
    return (pod(QOS | PRESTOP | {"command": list(command)} | env(**variables)),)


def _exec(kind: str, *command: str) -> dict[str, Any]:
    return probe(kind, {"exec": {"command": list(command)}})


UNWRAPPED: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # programs in which pod-lifecycle cannot run
    *(
        (ERROR, _ours(*command))
        for command in (
            CELERY,
            ["/usr/bin/python3", "-m", *CELERY],
            ["tini", "--", *CELERY],
            [*SH, "./manage.py migrate && exec celery -A shop worker"],
            [*SH, 'exec "$@"', "--", *CELERY],
            ["doppler", "run", "--", *CELERY],
            ["celery", "-A", "shop", "beat"],
            ["dramatiq", "shop.tasks"],
            ["rq", "worker"],
            ["waitress-serve", "--port=8000", "shop:app"],
            ["python", "-m", "flask", "--app", "shop", "run"],
            ["uwsgi", "--http-socket", ":8000", "--module", "shop.wsgi"],
            DJANGO,
            ["gunicorn", "-b", "0.0.0.0:8000", "shop.wsgi:application"],
            ["gunicorn", "-w", "4", "wsgi:app"],
            ["gunicorn", "--max-requests", "1000", "shop.wsgi", "--log-level", "info"],
            [*SH, "migrate; exec gunicorn -w 4 shop.wsgi"],
        )
    ),
    *(
        (ERROR, (pod(made | {"command": CELERY}),))
        for made in (
            QOS,
            PRESTOP,
            FROM | QOS,
            WEB | probe("readiness", get("/ready", "qos"))
            | {"ports": [{"name": "qos", "containerPort": 22222}]},
            probe("readiness", get("/readyz", 9000)) | env(LIFECYCLE_QOS_PORT="9000"),
            _exec("readiness", "lifecycle", "probe", "ready"),
            _exec("readiness", "curl", "-f", "-m", "2", "localhost:22222/ready"),
            sleep(*SH, "exec lifecycle prestop"),
        )
    ),
    (ERROR, (pod(QOS | {"command": DJANGO}),)),  # not managed-prestop: no Managed is possible
    (ERROR, (pod(QOS | {"command": CELERY}, {"image": "istio/proxyv2:1.27"}),)),
    (ERROR * 2, (pod(QOS | {"command": CELERY}, QOS | {"command": ["rq", "worker"]}),)),
    # the ENTRYPOINT of the image may be `lifecycle run --`
    (WARNING, (pod(QOS | PRESTOP | {"args": CELERY}),)),
    (WARNING, (pod(QOS | PRESTOP | {"args": DJANGO}),)),
    # apps that may use `Managed` or `Lifecycle`, but not with these options
    *(
        (WARNING, _ours(*command, **variables))
        for command, variables in (
            (["gunicorn", "shop:app"], {}),
            (["python", "-m", "gunicorn", "-b", ":8000", "shop:app"], {"GUNICORN_CMD_ARGS": "-t 9"}),
            (["granian", "--workers", "1", "shop:app"], {}),
            (["sanic", "shop:app"], {}),
        )
    ),
    # nothing: the app may have it
    *(
        ([], _ours(*command, **variables))
        for command, variables in (
            (["uvicorn", "shop:app"], {}),
            (["fastapi", "run", "shop/main.py"], {}),
            (["gunicorn", "-k", "uvicorn_worker.UvicornWorker", "shop.wsgi"], {}),
            (["gunicorn", "-c", "gunicorn.conf.py", "shop.wsgi"], {}),
            (["gunicorn", "shop.wsgi"], {"GUNICORN_CMD_ARGS": "-k uvicorn_worker.UvicornWorker"}),
            (["granian", "--interface", "asgi", "shop:app"], {}),
            (["granian", "shop:app"], {"GRANIAN_INTERFACE": "asgi"}),
            (CELERY, {"LIFECYCLE_SERVICES": "shop:8000"}),
            (["lifecycle", "run", "--", *CELERY], {}),
            ([*SH, "exec lifecycle run -- celery -A shop worker"], {}),
        )
    ),
    ([], (pod(QOS | PRESTOP | FROM | {"command": ["granian", "shop:app"]}),)),
    ([], (pod(QOS | PRESTOP | FROM | {"command": ["gunicorn", "shop:app"]}),)),
    ([], (pod(QOS | PRESTOP | {"args": ["gunicorn", "shop:app"]}),)),
    # nothing: what runs is not visible
    *(
        ([], _ours(*command))
        for command in (
            [],
            ["/app/serve"],
            ["python", "manage.py", "runserver", "--noreload"],
            ["/entrypoint.sh", *CELERY],
            ["sh", "/start.sh", *CELERY],
            ["/usr/local/bin/docker-entrypoint", *CELERY],
            [*SH, "python health.py & exec celery -A shop worker"],
            [*SH, "if true; then"],
            ["flask", "db", "upgrade"],
        )
    ),
    # nothing: the probes and preStop do not need it, or another container answers
    *(
        ([], (pod({"command": CELERY} | made),))
        for made in (
            {},
            sleep(*SH, "flush"),
            sleep("curl", "localhost:8000/prestop"),
            probe("readiness", get("/metrics", 22222)),
            probe("readiness", {"tcpSocket": {"port": 22222}}),
            _exec("readiness", "celery", "-A", "shop", "inspect", "ping"),
        )
    ),
    ([], (pod(SERVED | WEB, probe("readiness", get("/ready", 22222)) | {"command": CELERY}),)),
    ([], (pod(QOS | {"image": "shop:1"}, {"command": CELERY} | PRESTOP),)),
    # nothing: another rule reports the same container
    (["error managed-lifespan"], _ours("gunicorn", "-k", "gthread", "shop.wsgi")),
    (["error managed-prestop"], (pod(QOS | {"command": ["gunicorn", "shop:app"]}),)),
    (["error managed-workers"], _ours("granian", "--workers", "2", "shop:app")),
    (["warning managed-recycling"], _ours("gunicorn", "--max-requests", "9", "shop:app")),
    *(
        (["error managed-workers"], made)
        for made in (
            _ours("/entrypoint.sh", "gunicorn", "-w", "4", "shop.wsgi"),
            _ours("gunicorn", "-w", "4", "shop.wsgi", LIFECYCLE_SERVICES="shop:8000"),
        )
    ),
]  # fmt: skip
