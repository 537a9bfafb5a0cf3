"""What a user writes, and strict type checkers accept. `check.py` reads this file; nothing runs it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import uvicorn
from fastapi import FastAPI
from hypercorn.typing import ASGIFramework
from litestar import Litestar
from starlette.applications import Starlette
from starlette.middleware import Middleware as StarletteMiddleware
from starlette.types import Receive, Scope, Send

import lifecycle
from lifecycle import hookimpl
from lifecycle.asgi import Managed, Middleware


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """An app without a framework."""


# Every framework's app, in both of ours, and both in every server.
for app in (Middleware(Starlette()), Middleware(FastAPI()), Middleware(plain)):
    uvicorn.run(app)
uvicorn.run(Middleware(Litestar()))
managed = Managed(Starlette(), service="shop", port=8080)
Managed(Middleware(Managed(FastAPI())))
for_hypercorn: ASGIFramework = managed
Starlette(middleware=[StarletteMiddleware(Middleware)])
FastAPI().add_middleware(Managed, service="shop")

config = lifecycle.Config(settle=3, qos_port=0, services=("shop:8080",), prestop_token=None)
seconds: float = config.grace_period


async def main(life: lifecycle.Lifecycle) -> None:
    """A main that wants the handle."""

    async def source() -> AsyncIterator[int]:
        yield 1

    @life.readiness
    async def database() -> bool:
        return True

    @life.liveness
    def disk(life: lifecycle.Lifecycle) -> lifecycle.ProbeResult:
        return lifecycle.ProbeResult(not life.draining, "why")

    @life.readiness
    async def several() -> Iterable[lifecycle.ProbeResult]:
        return [lifecycle.ProbeResult(ok=True, name="one")]

    @life.readiness
    @lifecycle.probe(timeout=0.5, every=10)
    def nothing_to_say() -> None:
        return None

    async with aclosing(life.until_draining(source())) as items:
        async for item in items:
            print(item + 1)
    checked: bool = await database()
    service: lifecycle.Service = life.export("shop", port=8080)
    left: float = await life.drained()
    if (drain := life.drain) is not None:
        await drain.settled()
        left = min(left, drain.main_time_left())
    print(checked, service.name, left, disk(life).ok)


async def job() -> int:
    """A main without changes, and its exit code."""
    return 3


class Cache:
    """A plugin of one hook."""

    @hookimpl
    async def lifecycle_readiness(self, life: lifecycle.Lifecycle) -> bool:
        """Answer."""
        return not life.draining


class Consul(lifecycle.Registry):
    """A registry whose name is its class's."""

    name = "consul"
    required = False

    async def register(self, instance: lifecycle.Instance) -> None:
        """Register."""

    async def deregister(self, instance: lifecycle.Instance) -> None:
        """Deregister."""

    async def keep(self, instance: lifecycle.Instance) -> str:
        """Keep."""
        return "lost"


class Weighted(Consul):
    """A registry that withdraws in two steps, with times of its own."""

    settle = 7.0
    retry = 1.0

    async def forget(self, instance: lifecycle.Instance) -> None:
        """Forget."""
        self.settle = 9.0


class Named(Consul):
    """A registry that is told its name."""

    def __init__(self, name: str) -> None:
        self.name = name


class Probes:
    """A plugin with every form of answer."""

    @hookimpl
    def lifecycle_liveness(self) -> lifecycle.ProbeResult:
        """Answer one."""
        return lifecycle.ProbeResult(ok=True)

    @hookimpl
    @lifecycle.probe(timeout=0.5)
    async def lifecycle_readiness(self, me: lifecycle.Me) -> list[lifecycle.ProbeResult]:
        """Answer several."""
        return [lifecycle.ProbeResult(ok=True, name=me.name)]

    @hookimpl
    def lifecycle_startup(self) -> None:
        """Have nothing to say."""


class Discovery:
    """A plugin that gives registries."""

    @hookimpl
    def lifecycle_registries(self) -> Iterable[lifecycle.Registry]:
        """Give them."""
        return [Consul(), Named("other")]


@hookimpl
def lifecycle_drain(drain: lifecycle.Drain) -> None:
    """Make this module a plugin."""
    print(drain.time_left())


class Telemetry:
    """A plugin that sends what is left."""

    @hookimpl
    def lifecycle_stop(self, life: lifecycle.Lifecycle, stop: lifecycle.Stop) -> None:
        """Send it."""
        left: float = stop.seconds_left
        print(life.state, stop.code + 1, stop.cause.lower(), left)


async def embedded() -> None:
    """A lifecycle in somebody's loop, with plugins of every form."""
    this_module = sys.modules[__name__]
    async with lifecycle.Lifecycle(config, plugins=[Cache(), this_module]) as life:
        life.use(Cache)
        life.use(Discovery(), name="discovery")
        life.use(Probes)
        life.use(Telemetry)
        life.use(this_module)
        with life.track():
            await life.ready()
        print(life.snapshot()["in_flight"])


lifecycle.run(main)
lifecycle.run(job, config=config, plugins=(Cache,))
