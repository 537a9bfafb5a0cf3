"""The main of `lifecycle run --asgi`: an ASGI app, served on the loop that `run` has."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import partial
from typing import Any

from lifecycle.asgi import Middleware
from lifecycle.calls.stacks import Straggler
from lifecycle.exceptions import AlreadyExported, RegistrationRefused
from lifecycle.hookspecs import hookimpl
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.serving.asgi_servers import NOT_ACCEPTED, AsgiServer, ServerKind, ServerSettings
from lifecycle.serving.lifespan import Lifespan
from lifecycle.serving.sockets import address
from lifecycle.serving.websockets_and_event_streams import App
from lifecycle.states import State, Transition


def _straggler(life: Lifecycle, server: AsgiServer, lifespan: Lifespan) -> Straggler:
    """Name what `run --asgi` still has when it should have ended."""
    counts = ((core_of(life).traffic.in_flight, "request"), (server.connections, "connection"))
    left = [f"{n} {what}{'s' * (n > 1)}" for n, what in counts if n]
    stack = lifespan.standing()
    if stack:
        left.append("the app's lifespan shutdown")
    return Straggler(" and ".join(left) or "the server", stack)


class _HttpDrain:
    """What `run --asgi` does in a drain, as a plugin: GOAWAY, then close what is idle."""

    def __init__(self, server: AsgiServer) -> None:
        self._server = server

    @hookimpl
    async def lifecycle_transition(self, transition: Transition) -> None:
        """Ask HTTP/2 clients to send what is new elsewhere."""
        if transition.after is State.DRAINING:
            self._server.go_away()

    @hookimpl
    async def lifecycle_drain(self, drain: Any) -> None:
        """Close what is idle once consumers have had time to notice."""
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
    Serve an ASGI app on this loop: the main of `lifecycle run --asgi`.

    Args:
        life: The lifecycle.
        app: The app, without middleware of ours.
        kind: The server.
        sockets: Bound sockets.
        services: Names and ports to export.
        keep_alive: Seconds a connection may be idle.
        tls: For HTTPS.
        access_log: Log a line a request, if the server can.

    Raises:
        SystemExit: A registry will never take a service, or the app's lifespan has failed.
        Draining: The app was told to leave before it had started.
    """
    state: dict[str, Any] = {}
    settings = ServerSettings(
        keep_alive=keep_alive,
        state=state,
        tls=tls,
        access_log=access_log,
        lost=lambda count: life.log.warning("clients lost", count=count, problem=NOT_ACCEPTED),
    )
    server = kind.make(Middleware(app, life), settings)
    lifespan = Lifespan(app, state, unless=life.drained)
    core_of(life).app_loop.describe = partial(_straggler, life, server, lifespan)
    async with lifespan:
        where = [address(sock, tls=tls is not None) for sock in sockets]
        server.listen(sockets)
        life.log.info("listening", on=where)
        await life.use_async(_HttpDrain(server), name="asgi")
        try:
            for name, port in services:
                life.export(name, port=port)
            await life.ready()
            await life.drained()
        except (RegistrationRefused, AlreadyExported) as refused:
            raise SystemExit(f"lifecycle: registration refused: {refused}") from None
        finally:
            server.stop_listening()
            left = life.drain
            # What nobody takes of an answer is not to cost the app's shutdown its time.
            await server.close(*(left.main_time_left(), left.time_left()) if left else (0.0,))
