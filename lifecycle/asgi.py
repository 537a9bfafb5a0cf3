"""ASGI apps: the middleware, and `Managed` under another server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lifecycle.config import Config
from lifecycle.drain.in_flight import Tracker, Traffic
from lifecycle.drain.work_names import words_of
from lifecycle.environment_variables import is_of_a_command
from lifecycle.exceptions import (
    AlreadyExported,
    Draining,
    LifecycleError,
    NotRunning,
    RegistrationRefused,
    text_of,
)
from lifecycle.plain import lines
from lifecycle.process_globals import PROCESS
from lifecycle.qos.takeover import RECYCLE_TIMEOUT, start_after
from lifecycle.runtime import Lifecycle, core_of, current
from lifecycle.service_names import check_port, check_service_name
from lifecycle.serving.app_runner import ABORT
from lifecycle.serving.port_wait import until_listening
from lifecycle.serving.websockets_and_event_streams import (
    LEAST_PATIENCE,
    MAY_BE_EVENTS,
    PATIENCE,
    SHORTEST,
    App,
    EventStream,
    Message,
    Receive,
    Scope,
    Send,
    WebSocket,
    is_event_source,
)
from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import AnyPlugin

Talk = TypeVar("Talk", WebSocket, EventStream)

CLOSE_HEADER: Final = (b"connection", b"close")


class Middleware:
    """
    Counts requests and WebSockets in flight, and says `Connection: close` while draining.

    When the settle time is over, WebSockets are closed with 1001, and the streams of an
    EventSource are ended: their clients connect again, elsewhere.

    Without a running lifecycle (a unit test of the app) it does nothing.

    Args:
        app: The ASGI app.
        life: The lifecycle; the running one otherwise.
    """

    def __init__(self, app: App, life: Lifecycle | None = None) -> None:
        self.app = app
        self._given = self._life = life
        self._traffic: Traffic | None = None
        if self._find() is None:
            PROCESS.middleware_made = True

    def _find(self) -> Traffic | None:
        """Find the lifecycle that runs now, unless one was given; None if none does."""
        try:
            self._life = self._given or current()
        except NotRunning:
            return None
        traffic = core_of(self._life).traffic
        traffic.in_use = True
        self._answer = _answering(traffic)
        self._traffic = traffic  # last: other threads look at it first
        return traffic

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        traffic = self._traffic
        if traffic is None or traffic.draining or scope["type"] != "http":
            await self._special(scope, receive, send)
            return
        # What every request costs: a call more here is felt.
        for name, value in scope["headers"]:
            if name == b"accept" and len(value) >= SHORTEST and MAY_BE_EVENTS in value.lower():
                await self._special(scope, receive, send)
                return
        entries, key = traffic.entries, object()
        entries[key] = scope["headers"], scope.get("path"), scope.get("method")
        try:
            if scope["http_version"] < "2":
                send = MethodType(self._answer, send)
            await self.app(scope, receive, send)
        finally:
            del entries[key]
            if traffic.draining:
                traffic.left()  # type: ignore[unreachable]  # T0 may have come meanwhile

    async def _special(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve what is no plain request before T0."""
        kind = scope["type"]
        traffic = self._traffic
        if traffic is None or traffic.ended:
            traffic = self._find()
        if traffic is None or kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        with traffic.track(*words_of(scope)) as work:
            if kind == "websocket":
                socket = await self._converse(WebSocket, work, scope, receive, send)
            else:
                if scope["http_version"] < "2":
                    send = MethodType(self._answer, send)
                if is_event_source(scope):
                    await self._converse(EventStream, work, scope, receive, send)
                else:
                    await self.app(scope, receive, send)
        if kind == "websocket":
            await socket.linger()

    async def _converse(
        self,
        kind: type[Talk],
        work: Tracker,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> Talk:
        life, traffic = self._life, self._traffic
        if life is None or traffic is None:
            raise NotRunning("a WebSocket is counted only under a lifecycle")
        abort = scope.get(ABORT, lambda: None)
        patience = min(PATIENCE, max(LEAST_PATIENCE, life.config.quiet))
        conversation = kind(receive, send, lambda: traffic.draining, abort, patience)
        closer = asyncio.create_task(conversation.end_when(partial(_settled, life)))
        if _is_settled(life):
            conversation.on_end = work.sent_away
        try:
            await conversation.run(self.app, scope)
        finally:
            closer.cancel()
        return conversation


def _answering(traffic: Traffic) -> Callable[[Send, Message], Awaitable[None]]:
    # Bound to `send` it is as quick to make and to call as a method. No coroutine function:
    # on every message that would cost what all the rest does.
    def answer(send: Send, message: Message) -> Awaitable[None]:
        if traffic.draining and message["type"] == "http.response.start":
            headers = message.get("headers", ())
            kept = [pair for pair in headers if pair[0].lower() != b"connection"]
            message = {**message, "headers": [*kept, CLOSE_HEADER]}
        return send(message)

    return answer


def _is_settled(life: Lifecycle) -> bool:
    return life.drain is not None and life.drain.settle_passed.happened


async def _settled(life: Lifecycle) -> None:
    await life.reached(State.DRAINING)
    if life.drain is not None:
        await life.drain.settled()


class Managed:
    """
    Puts a lifecycle under an ASGI app that somebody else's server runs.

    It starts with the server's lifespan, becomes ready once the app's own startup is complete
    and the port is seen open, and leaves the signals to the server: only preStop can drain it.

    Under `lifecycle run -- COMMAND` it does nothing: there the parent has the lifecycle, for all
    workers of the server.

    Args:
        app: The ASGI app.
        service: Its name; without one nothing is registered.
        port: The server's port, 1 to 65535; READY waits until it is open.
        config: The settings; `Config()` otherwise.
        plugins: More plugins.
        recycle_timeout: Seconds that a new worker waits for the one that it replaces to end, if
            the server starts it first; then it is refused, as a second worker is.

    Raises:
        ValueError: The service's name breaks the rule for names, or the port is out of range.
    """

    def __init__(
        self,
        app: App,
        *,
        service: str | None = None,
        port: int | None = None,
        config: Config | None = None,
        plugins: Iterable[AnyPlugin] = (),
        recycle_timeout: float = RECYCLE_TIMEOUT,
    ) -> None:
        if service is not None:
            check_service_name(service)
        check_port(f"Managed(service={service!r}", port)
        self.app = app
        self._recycle_timeout = recycle_timeout
        self._service = service
        self._port = port
        self._config = config
        self._plugins = tuple(plugins)
        self._inner: Middleware | None = None
        self._has_parent = is_of_a_command()
        self._why_not = (
            "Managed needs the server's lifespan: switch it on (--lifespan on). "
            "daphne does not have it: use another server"
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._has_parent:
            run = self._run_lifespan if scope["type"] == "lifespan" else self.app
            await run(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif self._inner is None:
            raise NotRunning(self._why_not)
        else:
            await self._inner(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            life = Lifecycle(self._config, plugins=self._plugins)
            await start_after(
                life.__aenter__, life.config.qos_port, self._recycle_timeout, life.log
            )
        except Exception as error:
            known = isinstance(error, LifecycleError)
            said = str(error) if known else f"{type(error).__name__}: {text_of(error)}"
            self._why_not = f"the lifecycle did not start: {said}"
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"lifecycle: {lines(said)}"})
            if known:
                return
            raise  # most servers show where it comes from
        self._inner = Middleware(self.app, life)
        life.log.warning(
            "signals are the server's",
            hint="only preStop can drain it: lifecycle prestop, as an exec hook",
        )
        started = asyncio.Event()
        readying = asyncio.create_task(self._ready(life, started))

        async def leave(problem: LifecycleError | None = None) -> None:
            readying.cancel()
            if not core_of(life).ended.happened:
                await life.__aexit__(type(problem) if problem else None, problem, None)

        async def send_on(message: Message) -> None:
            kind = message["type"]
            if kind == "lifespan.startup.failed":
                await leave(LifecycleError("the app's startup failed"))
            elif kind.startswith("lifespan.shutdown."):
                await leave()  # once the server has its answer, it waits for nobody
            await send(message)
            if kind == "lifespan.startup.complete":
                started.set()

        try:
            await self._run_lifespan(scope, receive, send_on)
        finally:
            await leave()

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        said: set[str] = set()
        asked = False

        async def ask() -> Message:
            nonlocal asked
            asked = True
            return await receive()

        async def note(message: Message) -> None:
            said.add(message["type"])
            await send(message)

        try:
            await self.app(scope, ask, note)
        except Exception as error:
            if said:
                raise
            if asked:  # it knows the protocol, and did not come so far as to answer
                problem = f"{type(error).__name__}: {error}"
                await send({"type": "lifespan.startup.failed", "message": problem})
                raise
        if not said:
            # The app knows no lifespan: the protocol is answered for it.
            if not asked:
                await receive()
            await send({"type": "lifespan.startup.complete"})
            while (await receive())["type"] != "lifespan.shutdown":
                continue
            await send({"type": "lifespan.shutdown.complete"})

    async def _ready(self, life: Lifecycle, started: asyncio.Event) -> None:
        await started.wait()
        with contextlib.suppress(Draining):
            if self._port is not None:
                await until_listening(self._port, self._service or "the app", life.log)
            try:
                if self._service is not None:
                    life.export(self._service, port=self._port)
                await life.ready()
            except (RegistrationRefused, AlreadyExported) as refused:
                life.log.error("registration refused", reason=str(refused))  # noqa: TRY400
            except Exception as error:  # noqa: BLE001 - else it would never be READY, without a word
                problem = f"{type(error).__name__}: {error}"
                life.log.error("not ready", problem=problem)  # noqa: TRY400
