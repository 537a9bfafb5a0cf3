"""The hosts that people run, each as it would be started in a container."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.plan import Protocol, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from tests.hosts.own_load import NOTHING, EventLoad, GrpcLoad
from tests.process.rollout import BIND, RUN, SETTLE, plan, traffic

ROLLOUTS: Final = int(os.environ.get("ROLLOUTS", "2"))
"""How many times each host is rolled."""
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
    """

    name: str
    argv: Sequence[str]
    prestop: str = IN_TURNS
    traffic: Traffic = field(default_factory=rarely_idle)
    generator: type[LoadGenerator] = LoadGenerator
    env: dict[str, str] = field(default_factory=dict)
    settle: float = SETTLE

    def rehearsal(self, folder: Path) -> Rehearsal:
        """Return what rolls it over."""
        env = {"LIFECYCLE_SETTLE": str(self.settle), **self.env}
        own = plan(
            folder,
            *self.argv,
            env=env,
            prestop=self.prestop,
            traffic=self.traffic,
            replicas=1,
            rollouts=ROLLOUTS,
        )
        return Rehearsal(own, generator=self.generator)


def _asgi(name: str, target: str, *options: str, **more: Any) -> Host:
    return Host(name, (*RUN, "--asgi", target, *BIND, *options), **{"traffic": IDLE, **more})


def _main(name: str, target: str, **more: Any) -> Host:
    return Host(name, (*RUN, target), env={"LIFECYCLE_SERVICES": "shop:{port}"}, **more)


def _managed(name: str, shop: str, how: str, *command: str) -> Host:
    """Serve `managed:app`: the server has the signals, so only preStop can drain it."""
    return Host(name, ("-m", *command), "exec", env={"SHOP": shop, "HOW": how})


def _command(name: str, *command: str, **more: Any) -> Host:
    """Serve by a server's own command, with what is known of it in its workers."""
    words = (*RUN, "--service", "shop:{port}", "--", sys.executable, "-m", *command)
    return Host(name, words, **{"traffic": IDLE, **more})


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

HOSTS: Final = (
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
    _gunicorn("gevent x 2", "--workers", "2", "--worker-class", "gevent"),
    _gunicorn("gthread x 2, Flask", *GTHREAD, app="flask_shop:app"),
    _gunicorn("gthread x 2, Django", *GTHREAD, app="django_shop:app"),
    _command(
        "granian wsgi x 2",
        *("granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads", "16"),
        *("--port", "{port}", "--no-log", "wsgi_shop:app"),
        traffic=rarely_idle(),
    ),
    _command(
        "waitress",
        *("waitress", "--threads", "16", "--listen", "127.0.0.1:{port}"),
        *("--channel-timeout", "75", "wsgi_shop:app"),
    ),
)
