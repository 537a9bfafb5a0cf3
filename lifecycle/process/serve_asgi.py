"""The main of `lifecycle run --asgi`, which serves an ASGI app on the loop of `run`."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import partial
from typing import Any

from lifecycle.asgi import Middleware
from lifecycle.calls.stacks import Straggler
from lifecycle.exceptions import AlreadyExported, RegistrationRefused, page_of
from lifecycle.hookspecs import hookimpl
from lifecycle.links import help_page
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.serving.asgi_servers import NOT_ACCEPTED, AsgiServer, ServerKind, ServerSettings
from lifecycle.serving.lifespan import Lifespan
from lifecycle.serving.sockets import address
from lifecycle.serving.websockets_and_event_streams import App
from lifecycle.states import State, Transition


def _straggler(life: Lifecycle, server: AsgiServer, lifespan: Lifespan) -> Straggler:
    """Name what still runs when `run --asgi` should have ended."""
    counts = ((core_of(life).traffic.in_flight, "request"), (server.connections, "connection"))
    left = [f"{n} {what}{'s' * (n > 1)}" for n, what in counts if n]
    stack = lifespan.standing()
    if stack:
        left.append("the app's lifespan shutdown")
    return Straggler(" and ".join(left) or "the server", stack)


class _Farewell:
    """The drain and the maintenance of `run --asgi`, as a plugin: send GOAWAY, then close."""

    def __init__(self, server: AsgiServer) -> None:
        self._server = server

    @hookimpl
    async def lifecycle_transition(self, transition: Transition) -> None:
        """Send GOAWAY to HTTP/2 clients, so that their next requests go to another pod."""
        if transition.after is State.DRAINING:
            self._server.go_away()

    @hookimpl
    async def lifecycle_offline(self, offline: Any) -> None:
        """Do the same while every app service is offline."""
        self._server.go_away()
        await offline.settled()
        await self._server.close_idle()

    @hookimpl
    async def lifecycle_drain(self, drain: Any) -> None:
        """Close idle connections after the settle time."""
        await drain.settled()
        await self._server.close_idle()


async def serve(
    life: Lifecycle,
    *,
    app: App,
    kind: ServerKind,
    sockets: list[Any],
    services: Iterable[tuple[str, int | None]],
    keep_alive: float,
    tls: ssl.SSLContext | None = None,
    access_log: bool = False,
) -> None:
    """
    Serve an ASGI app on this loop, as the main of `lifecycle run --asgi`.

    Args:
        life: The `Lifecycle` object.
        app: The app, without our middleware.
        kind: The server.
        sockets: Bound sockets.
        services: Names and ports of the app services to publish.
        keep_alive: Seconds that a connection may be idle.
        tls: The TLS context for HTTPS, or None for plain HTTP.
        access_log: Log an event for each request.

    Raises:
        SystemExit: A service registry refuses an app service for good, or the app's lifespan
            failed.
        Draining: The app was asked to exit before it had started.
    """
    state: dict[str, Any] = {}
    traffic = core_of(life).traffic
    settings = ServerSettings(
        keep_alive=keep_alive,
        state=state,
        tls=tls,
        lost=lambda count: life.log.warning(
            "clients lost", count=count, problem=NOT_ACCEPTED, see=help_page("clients-lost")
        ),
        told_to_go=traffic.told_to_go.next,
        sends_away=lambda: traffic.sends_away,
        ends_idle=lambda: traffic.ends_idle,
    )
    served: App = Middleware(app, life)
    if access_log:
        from lifecycle.serving.access_log import AccessLog  # most apps have no access log

        served = AccessLog(served, core_of(life).access_log)
    server = kind.make(served, settings)
    lifespan = Lifespan(app, state, unless=life.drained)
    core_of(life).app_loop.describe = partial(_straggler, life, server, lifespan)
    start_report = core_of(life).start_report
    start_report.main("lifespan")
    async with lifespan:
        start_report.main("server")
        where = [address(sock, tls=tls is not None) for sock in sockets]
        server.listen(sockets)
        life.log.info("listening", on=where)
        await life.use_async(_Farewell(server), name="asgi")
        try:
            for name, port in services:
                life.export(name, port=port)
            await life.ready()
            await life.drained()
        except (RegistrationRefused, AlreadyExported) as refused:
            see = page_of(refused) or help_page("registration-refused")
            raise SystemExit(f"lifecycle: registration refused: {refused}\nSee {see}") from None
        finally:
            late = server.stop_listening()
            left = life.drain
            if left is not None:
                left.stopped_listening(late=late)
            # A client that does not read its response must not use up the time of the app's shutdown.
            await server.close(*(left.main_time_left(), left.time_left()) if left else (0.0,))
