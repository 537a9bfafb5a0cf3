"""Cases of the rules about servers, and about what starts them."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, QOS, SH, WEB, env, pod

DRAINED = QOS | PRESTOP
UVICORN = ["uvicorn", "a:b"]
CELERY = ["celery", "-A", "a"]
ASGI_GUNICORN = ["gunicorn", "-k", "uvicorn_worker.UvicornWorker"]

NO_PRESTOP = ["warning no-prestop"]


def _ours(*command: str, **variables: str) -> tuple[dict[str, Any], ...]:
    return (pod(DRAINED | {"command": list(command)} | env(**variables)),)


def _plain(*command: str, **variables: str) -> tuple[dict[str, Any], ...]:
    return (pod(WEB | {"command": list(command)} | env(**variables)),)


def _portless(*command: str, **variables: str) -> tuple[dict[str, Any], ...]:
    """Make a pod without clients."""
    return (pod({"command": list(command)} | env(**variables)),)


def _configured(text: str, *words: str) -> dict[str, Any]:
    made = DRAINED | {"command": ["gunicorn", *words, "-c", "/etc/gunicorn/conf.py", "a:b"]}
    made |= {"volumeMounts": [{"name": "c", "mountPath": "/etc/gunicorn"}]} | env(CPUS="2")
    return pod(made, volumes=[{"name": "c", "configMap": {"name": "settings"}}])


def _config_map(text: str) -> dict[str, Any]:
    head = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}}
    return head | {"data": {"conf.py": text}}


SERVERS: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # managed-lifespan
    *(
        (["error managed-lifespan"], _ours(*command, **variables))
        for command, variables in (
            (["daphne", "-p", "8000", "a:b"], {}),
            ([*SH, "exec python -m daphne a:b"], {}),
            ([*UVICORN, "--lifespan", "off"], {}),
            ([*UVICORN, "--interface=wsgi"], {}),
            (UVICORN, {"UVICORN_LIFESPAN": "off"}),
            (["granian", "--interface", "wsgi", "a:b"], {}),
            (["granian", "a:b"], {"GRANIAN_INTERFACE": "rsgi"}),
            (["gunicorn", "-k", "gthread", "a:b"], {}),
            (["gunicorn", "-kgevent", "a:b"], {}),
            (["gunicorn", "--worker-class=gunicorn.workers.sync.SyncWorker", "a:b"], {}),
            (["gunicorn", "a:b"], {"GUNICORN_CMD_ARGS": "--worker-class 'gevent'"}),
        )
    ),
    *(
        ([], _ours(*command))
        for command in (
            [*UVICORN, "--lifespan", "on"],
            ["granian", "--interface", "asgi", "a:b"],
            ["gunicorn", "-k", "uvicorn_worker.UvicornWorker", "a:b"],
            ["gunicorn", "-k", "asgi", "a:b"],
            ["gunicorn", "-c", "gunicorn.conf.py", "a:b"],
            ["hypercorn", "-k", "trio", "a:b"],
        )
    ),
    (["error managed-lifespan"], (pod(QOS | {"command": ["daphne", "a:b"]}),)),
    (NO_PRESTOP, _plain("daphne", "a:b")),
    # managed-workers
    *(
        (["error managed-workers"], _ours(*command, **variables))
        for command, variables in (
            (["fastapi", "run", "--workers", "4", "main.py"], {}),
            (["fastapi", "run", "main.py"], {"WEB_CONCURRENCY": "2"}),
            (["python", "-m", "fastapi", "run", "--workers=2"], {}),
            (["python3.12", "-m", "gunicorn", "-k", "uvicorn.workers.UvicornWorker", "-w", "4"], {}),
            (["gunicorn", "-w", "4", "a:b"], {}),
            ([*SH, "exec gunicorn -w 4 a:b"], {}),
            (["dumb-init", "gunicorn", "-w", "4", "a:b"], {}),
            (["tini", "--", "gunicorn", "-w", "4", "a:b"], {}),
            (["uvx", *UVICORN, "--workers", "2"], {}),
            (["pipx", "run", "--spec", "granian[all]", "granian", "--workers", "2"], {}),
            (["hypercorn", "--workers", "2", "a:b"], {}),
            (["granian", "a:b"], {"GRANIAN_WORKERS": "3"}),
            (["gunicorn", "a:b"], {"GUNICORN_CMD_ARGS": "--workers=2 --log-level 'info'"}),
        )
    ),
    *(
        (["error managed-workers", "warning hook-path"], _ours(*command))
        for command in (
            ["poetry", "run", *UVICORN, "--workers", "2"],
            ["uv", "run", "--frozen", "--with", "gunicorn", *UVICORN, "--workers", "2"],
            ["micromamba", "run", "-n", "uvicorn", "hypercorn", "-w", "2", "a:b"],
        )
    ),
    *(
        # The image may have the command `lifecycle run --`, or that ENTRYPOINT
        (expected, (pod(DRAINED | given | env(**variables)),))
        for expected, given, variables in (
            ([], {}, {"WEB_CONCURRENCY": "4"}),
            ([], {}, {"GUNICORN_CMD_ARGS": "-w 4"}),
            ([], {"args": ["--workers", "4"]}, {}),
            (["warning managed-workers"], {"args": ["gunicorn", "-w", "4", "a:b"]}, {}),
            (["warning managed-workers"], {"args": [*UVICORN]}, {"WEB_CONCURRENCY": "4"}),
            (["warning managed-lifespan"], {"args": ["daphne", "a:b"]}, {}),
            ([], {"args": ["lifecycle", "run", "--service", "a:8000", "--", "gunicorn", "-w", "4", "-b",
                           "0.0.0.0:8000", "a:b"]}, {}),
        )
    ),
    (["warning managed-prestop"], (pod(QOS | {"args": [*UVICORN]}),)),
    *(
        ([f"{severity} shell-pid-1"], (pod(WEB | {key: [*SH, "gunicorn a:b | tee log"]}),))
        for severity, key in (("error", "command"), ("warning", "args"))
    ),
    *(
        ([], _ours(*command, **variables))
        for command, variables in (
            (["fastapi", "run", "main.py"], {}),
            (["fastapi", "deploy", "--workers", "4"], {}),
            (["python", "app.py"], {"WEB_CONCURRENCY": "4"}),
            (["lifecycle", "run", "--asgi", "a:b"], {"WEB_CONCURRENCY": "4"}),
            (["fastapi", "run", "--workers", "1"], {"WEB_CONCURRENCY": "4"}),
        )
    ),
    (NO_PRESTOP, _plain("fastapi", "run", "--workers", "4")),
    ([], (pod(QOS | {"command": ["uv", "pip", "install", "uvicorn"]}),)),
    ([], (pod(QOS | {"command": [*SH, "poetry add gunicorn && exec app"]}),)),
    # workers in a file of gunicorn, of a ConfigMap
    *(
        (expected, (_configured(text, *words), _config_map(text)))
        for expected, text, *words in (
            (["error managed-workers"], "workers = 4"),
            (["error managed-workers"], "import os\nworkers = int(os.environ.get('W', 3))"),
            (["error managed-workers"], "workers = int(os.getenv('W') or 2)"),
            (["error managed-workers"], "from os import environ\nworkers = int(environ['CPUS'])"),
            (["error managed-workers"], "n = cpu_count()\nworkers: int = multiprocessing.cpu_count() * 2 + n"),
            (["error managed-workers"], "workers = max(2, 1)"),
            (["error managed-lifespan"], "worker_class = 'gthread'"),
            (["warning managed-recycling"], "max_requests = 1000"),
            (["warning reload"], "reload = True"),
            ([], "workers = 4", "-w", "1"),
            ([], "workers = 4\nworkers = 1"),
            ([], "workers = 4\nif production:\n    workers = 1"),
            ([], "workers = read()"),
            ([], "workers = 10 ** 9 ** 9"),
            ([], "workers = 'x' * 10 ** 9"),
            ([], "workers = 1 +"),
            ([], "workers = int(os.environ['NOWHERE'])"),
            ([], "reload = False"),
        )
    ),
    ([], (_configured("", "-c", "python:shop.conf"), _config_map("workers = 4"))),
    # managed-recycling
    *(
        (["warning managed-recycling"], _ours(*command, **variables))
        for command, variables in (
            (["gunicorn", "-w1", "--max-requests", "1000", "a:b"], {}),
            (["gunicorn", "a:b"], {"GUNICORN_CMD_ARGS": "--max-requests=100"}),
            (["hypercorn", "--max-requests", "1000", "a:b"], {}),
            ([*UVICORN, "--limit-max-requests", "1000"], {}),
            (UVICORN, {"UVICORN_LIMIT_MAX_REQUESTS": "9"}),
            (["granian", "--workers-lifetime", "3600", "a:b"], {}),
            (["granian", "a:b"], {"GRANIAN_WORKERS_MAX_RSS": "512"}),
        )
    ),
    *(
        ([], made)
        for made in (
            _ours(*ASGI_GUNICORN, "--max-requests", "0", "a:b"),
            _ours(*ASGI_GUNICORN, "--max-requests-jitter", "50", "a:b"),
            _ours("granian", "a:b", LIFETIME="0", GRANIAN_WORKERS_LIFETIME="$(LIFETIME)",
                  GRANIAN_INTERFACE="asgi"),
        )
    ),
    (NO_PRESTOP, _plain("gunicorn", "--max-requests", "1000", "a:b")),
    # reload
    *(
        (["warning reload"], made)
        for made in (
            _plain(*UVICORN, "--reload"),
            _plain("fastapi", "dev", "main.py"),
            _plain("gunicorn", "a:b", GUNICORN_CMD_ARGS="--reload"),
            _plain(*UVICORN, UVICORN_RELOAD="true"),
            _plain("watchfiles", "uvicorn a:b"),
            _plain("python", "manage.py", "runserver", "0.0.0.0:8000"),
            _plain(*SH, "migrate && exec ./manage.py runserver 0.0.0.0:8000"),
            _plain("flask", "--app", "a", "run", "--debug"),
            _plain("python", "-m", "flask", "run", FLASK_DEBUG="1"),
            _ours("hypercorn", "--reload", "a:b"),
        )
    ),
    *(
        ([], made)
        for made in (
            _portless("fastapi", "dev", "--no-reload", "main.py"),
            _portless(*UVICORN, "--reload-dir", "src"),
            _portless(*UVICORN, UVICORN_RELOAD="false"),
            _portless("granian", "--no-reload", "a:b"),
            _portless("app", "--reload"),
            _portless("python", "manage.py", "runserver", "--noreload"),
            _portless("python", "manage.py", "migrate"),
            _portless("flask", "run"),
            _portless("flask", "run", FLASK_DEBUG="0"),
            _portless("flask", "db", "upgrade", FLASK_DEBUG="1"),
        )
    ),
    # through what only starts a server
    *(
        (["error managed-lifespan"], _ours(*command, "daphne", "a:b"))
        for command in (
            ["/entrypoint.sh"],
            ["./docker-entrypoint.sh", "--"],
            ["bash", "/entrypoint.sh"],
            ["/usr/local/bin/docker-entrypoint"],
            ["wait-for-it.sh", "db:5432", "-t", "30", "--"],
            [*SH, 'migrate; exec "$@"', "--"],
            [*SH, 'exec "$0" "$@"'],
            ["doppler", "run", "--project", "shop", "--"],
            ["infisical", "run", "--env=prod", "--"],
            ["vault-env"],
            ["s6-setuidgid", "app"],
            ["sudo", "-u", "celery", "-E"],
        )
    ),
    *(
        ([], _ours(*command))
        for command in (
            ["/start.sh", "--app", "daphne"],
            ["/entrypoint.sh", "/app/serve", "daphne"],
            ["grep", "-q", "--", "daphne", "a"],
            [*SH, 'exec "$@"', "daphne"],
            ["sudo", "-u", "daphne", "/app/serve"],
            ["doppler", "run", "--", "/app/serve"],
        )
    ),
    # workers by variable
    *(
        (["error managed-workers"], _ours(*command, **variables))
        for command, variables in (
            ([*UVICORN, "--workers", "$(W)"], {"W": "4"}),
            ([*SH, "exec uvicorn a:b --workers $W"], {"W": "4"}),
            ([*SH, 'exec uvicorn a:b --workers "${W}"'], {"W": "4"}),
            ([*SH, "exec uvicorn a:b --workers ${W:-4}"], {}),
            ([*SH, "export WEB_CONCURRENCY=3; exec uvicorn a:b"], {}),
            ([*SH, "export WEB_CONCURRENCY=${WEB_CONCURRENCY:-3}\nexec uvicorn a:b"], {}),
            (["env", "WEB_CONCURRENCY=3", *UVICORN], {}),
        )
    ),
    *(
        ([], _ours(*command, **variables))
        for command, variables in (
            ([*UVICORN, "--workers", "$(W)"], {"W": "1"}),
            ([*UVICORN, "--workers", "$$(W)"], {"W": "4"}),
            ([*UVICORN, "--workers", "$(W)"], {}),
            ([*SH, "exec uvicorn a:b --workers ${W:-4}"], {"W": "1"}),
            ([*SH, "exec uvicorn a:b --workers ${W:-1}"], {}),
            ([*SH, "exec uvicorn a:b --workers $W"], {}),
            ([*SH, "export WEB_CONCURRENCY=1; exec uvicorn a:b"], {"WEB_CONCURRENCY": "4"}),
        )
    ),
    (
        [],
        (pod(DRAINED | {"command": [*SH, "exec uvicorn a:b --workers ${W:-4}"], "envFrom": [{}]}),),
    ),
    # signal-to-group
    *(
        (["error signal-to-group"], (pod({"command": command} | env(**variables)),))
        for command, variables in (
            (["dumb-init", "--", "celery", "-A", "a", "worker"], {}),
            (["/usr/bin/dumb-init", "python", "-m", "celery", "-A", "a", "worker", "-P", "prefork"], {}),
            (["tini", "-g", "--", "celery", "-A", "a", "worker", "-c", "1"], {}),
            (["tini", "-vg", "-e", "143", "--", "hypercorn", "a:b"], {}),
            (["tini", "--", "hypercorn", "a:b"], {"TINI_KILL_PROCESS_GROUP": "1"}),
            (["catatonit", "-g", "--", "sanic", "a:b"], {}),
            (["dumb-init", *SH, "migrate && exec celery -A a worker"], {}),
            (["dumb-init", "-r", "15:2", "airflow", "celery", "worker"], {}),
            ([*SH, "exec dumb-init celery -A a worker"], {}),
        )
    ),
    (["warning signal-to-group"], _ours("dumb-init", "hypercorn", "a:b")),
    (["error signal-to-group", *NO_PRESTOP], _plain("dumb-init", "hypercorn", "-w", "1", "a:b")),
    *(
        (["warning signal-to-group"], (pod({"command": ["dumb-init", *CELERY, "worker"]} | unknown),))
        for unknown in (
            {"envFrom": [{"configMapRef": {"name": "c"}}]},
            {"env": [{"name": "DUMB_INIT_SETSID", "valueFrom": {"configMapKeyRef": {}}}]},
        )
    ),
    (["error signal-to-group"], (pod({"command": ["tini", "-g", *CELERY, "worker"], "envFrom": [{}]}),)),
    *(
        (["error signal-to-group"], _plain("dumb-init", "celery", *words))
        for words in (["worker", "-A", "a"], ["--app=a", "-q", "worker"], ["-A", "worker", "worker"])
    ),
    *(
        ([], (pod({"command": command} | env(**variables)),))
        for command, variables in (
            (["dumb-init", "gunicorn", "-w", "4", "a:b"], {}),
            (["dumb-init", *UVICORN, "--workers", "4"], {}),
            (["tini", "-g", "--", "granian", "--workers", "4", "a:b"], {}),
            (["tini", "--", "celery", "-A", "a", "worker"], {}),
            (["tini", "--", "celery", "-A", "a", "worker", "-g", "x"], {}),
            (["dumb-init", "--single-child", "celery", "-A", "a", "worker"], {}),
            (["dumb-init", "-vc", "celery", "-A", "a", "worker"], {}),
            (["dumb-init", "celery", "-A", "a", "worker"], {"DUMB_INIT_SETSID": "0"}),
            (["dumb-init", "celery", "-A", "a", "worker", "--pool=solo"], {}),
            (["dumb-init", "celery", "-A", "a", "beat"], {}),
            (["dumb-init", "hypercorn", "-w", "0", "a:b"], {}),
            (["dumb-init", "hypercorn", "-w", "2", "a:b"], {}),
            (["dumb-init", "hypercorn", "--workers=4", "a:b"], {}),
            (["dumb-init", "--", "celery", "-A", "worker", "beat"], {}),
            (["dumb-init", "--", "celery", "--app", "worker", "inspect", "ping"], {}),
            (["dumb-init", *CELERY, "worker", "-Pgevent"], {}),
            (["celery", "-A", "a", "worker"], {}),
        )
    ),
    # conda-run
    (["error conda-run"], _plain("conda", "run", "-n", "web", "python", "app.py")),
    (["error conda-run"], _plain("tini", "--", "conda", "run", "--no-capture-output", "-p", "/x", "a")),
    (["warning conda-run", "warning hook-path"], _ours("conda", "run", "-n", "web", *UVICORN)),
    (["warning conda-run"], (pod({"command": ["conda", "run", "-n", "web", "python", "app.py"]}),)),
    ([], _plain("/opt/conda/envs/web/bin/python", "app.py")),
    ([], _plain("micromamba", "run", "-n", "web", "python", "app.py")),
    ([], _plain("conda", "activate", "run")),
    # process-manager
    *(
        (["warning process-manager"], _ours(*command))
        for command in (
            ["supervisord", "-n", "-c", "/etc/supervisord.conf"],
            ["tini", "--", "circusd", "circus.ini"],
            [*SH, "exec honcho start"],
            ["poetry", "run", "honcho", "start"],
        )
    ),
    ([], _plain("supervisord", "-n")),
    ([], _ours("supervisorctl", "status")),
]  # fmt: skip
