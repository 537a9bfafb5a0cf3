"""The hosts that people run, each as it would be started in a container."""

from __future__ import annotations

from typing import Any, Final

from tests.hosts.grpc_load import grpc_load
from tests.hosts.long_load import EventSource, Http2, Talker, load_of
from tests.hosts.rolling import Host, some_idle_for_long

PRESTOP_ONLY: Final = (True,)
GRPC_SETTLE: Final = 4.4
"""In one half clients hear of the removal, in the other their connections are told to go."""
RUN: Final = ("-m", "lifecycle", "run")


BIND: Final = ("--bind", "127.0.0.1:{port}", "--service", "shop")


def _asgi(name: str, target: str) -> Host:
    return Host(name, (*RUN, "--asgi", target, *BIND), load=some_idle_for_long)


def _long(name: str, kind: type) -> Host:
    return Host(name, (*RUN, "--asgi", "shop:app", *BIND), load=lambda: load_of(kind))


def _main(name: str, target: str, **more: Any) -> Host:
    return Host(name, (*RUN, target), env={"LIFECYCLE_SERVICES": "shop:{port}"}, **more)


def _managed(name: str, shop: str, how: str, *command: str) -> Host:
    """Serve `managed:app`: the server has the signals, so only preStop can drain it."""
    return Host(name, ("-m", *command), PRESTOP_ONLY, env={"SHOP": shop, "HOW": how})


UVICORN: Final = (
    *("uvicorn", "managed:app", "--port", "{port}", "--timeout-keep-alive", "75"),
    *("--log-level", "warning"),
)
HYPERCORN: Final = (
    *("hypercorn", "managed:app", "--bind", "127.0.0.1:{port}", "--keep-alive", "75"),
    *("--log-level", "warning"),
)
GRANIAN: Final = ("granian", "managed:app", "--port", "{port}", "--interface", "asgi")

HOSTS: Final = (
    _asgi("run --asgi", "shop:app"),
    _long("run --asgi, HTTP/2", Http2),
    _long("run --asgi, WebSocket", Talker),
    _long("run --asgi, events", EventSource),
    _asgi("FastAPI, unchanged", "fastapi_shop:app"),
    _asgi("Starlette, unchanged", "starlette_shop:app"),
    _asgi("Litestar, unchanged", "litestar_shop:app"),
    _main("uvicorn in a main", "mains:uvicorn_inside"),
    _main("hypercorn in a main", "mains:hypercorn_inside"),
    _main("granian in a main", "mains:granian_inside"),
    Host("asyncio streams", (*RUN, "mains:streams")),
    Host("aiohttp", (*RUN, "aiohttp_main:with_handle"), load=some_idle_for_long),
    _main("aiohttp in a main", "aiohttp_main:run_app", load=some_idle_for_long),
    Host("grpc.aio", (*RUN, "grpc_main:main"), load=grpc_load, settle=GRPC_SETTLE),
    _managed("uvicorn, Managed", "shop", "wrapped", *UVICORN),
    _managed("hypercorn, Managed", "shop", "wrapped", *HYPERCORN),
    _managed("granian, Managed", "shop", "wrapped", *GRANIAN),
    _managed("FastAPI, Managed added", "fastapi_shop", "added", *UVICORN),
    _managed("Starlette, Managed added", "starlette_shop", "added", *UVICORN),
    _managed("Litestar, Managed", "litestar_shop", "wrapped", *UVICORN),
)
