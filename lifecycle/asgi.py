"""For ASGI apps: the middleware, and `Managed`, which runs pod-lifecycle under another server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lifecycle.config import Config
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.work import Work
from lifecycle.drain.work_names import words_of
from lifecycle.environment_variables import is_of_a_command
from lifecycle.exceptions import (
    AlreadyExported,
    Draining,
    LifecycleError,
    NotRunning,
    RegistrationRefused,
    page_of,
    text_of,
)
from lifecycle.links import help_page
from lifecycle.plain import lines
from lifecycle.process_globals import PROCESS
from lifecycle.qos.takeover import RECYCLE_TIMEOUT, start_after
from lifecycle.runtime import Lifecycle, core_of, current
from lifecycle.service_names import check_port, check_service_name
from lifecycle.serving.app_runner import ABORT
from lifecycle.serving.port_wait import say_listening, until_listening
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

IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"
"""A variable that the kubelet sets in every container."""
CLOSE_HEADER: Final = (b"connection", b"close")


class Middleware:
    """
    ASGI middleware that counts requests and WebSockets, so that the drain waits for them.

    While the app drains, and while every app service is offline, each HTTP/1 response gets the
    header `Connection: close`. After the settle time (`settle`), WebSockets are closed with code
    1001, and event streams of an `EventSource` end. Their clients then connect to another pod.

    If pod-lifecycle does not run, for example in a unit test of your app, the middleware
    does nothing.

    Args:
        app: Your ASGI app.
        life: The `Lifecycle` object. The default is the one that runs in this process.
    """

    def __init__(self, app: App, life: Lifecycle | None = None) -> None:
        self.app = app
        self._given = self._life = life
        self._traffic: Traffic | None = None
        if self._find() is None:
            PROCESS.middleware_made = True

    def _find(self) -> Traffic | None:
        """Find the `Lifecycle` that was given, or else the running one. None if nothing runs."""
        try:
            self._life = self._given or current()
        except NotRunning:
            return None
        traffic = core_of(self._life).traffic
        traffic.in_use = True
        self._answer = _answering(traffic)
        self._traffic = traffic  # assigned last, because other threads read it first
        return traffic

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        traffic = self._traffic
        if traffic is None or traffic.sends_away or scope["type"] != "http":
            await self._special(scope, receive, send)
            return
        # This code runs for every request, so one more call here costs throughput.
        for name, value in scope["headers"]:
            if name == b"accept" and len(value) >= SHORTEST and MAY_BE_EVENTS in value.lower():
                await self._special(scope, receive, send)
                return
        entries, key, version = traffic.entries, traffic.came.next(), scope["http_version"]
        headers, path, method = scope["headers"], scope.get("path"), scope.get("method")
        if version < "2":
            send = MethodType(self._answer, send)
        running = self.app(scope, receive, send)
        entries[key] = headers, path, method, version, traffic.clock(), running
        cut = True
        try:
            await running
            cut = False
        except Exception:
            cut = False
            raise
        finally:
            work = entries.pop(key)
            if traffic.sends_away:
                traffic.left(work, cut=cut)  # type: ignore[unreachable]  # it may have started now

    async def _special(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve everything except a plain request while clients may stay."""
        kind = scope["type"]
        traffic = self._traffic
        if traffic is None or traffic.ended:
            traffic = self._find()
        if traffic is None or kind not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        with traffic.track(*words_of(scope)) as work:
            work.came_from(scope.get("client"))
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
        work: Work,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> Talk:
        life, traffic = self._life, self._traffic
        if life is None or traffic is None:
            raise NotRunning(
                "pod-lifecycle does not run, so it cannot count a WebSocket",
                see="managed-without-lifespan",
            )
        abort = scope.get(ABORT, lambda: None)
        patience = min(PATIENCE, max(LEAST_PATIENCE, life.config.quiet))
        conversation = kind(receive, send, lambda: traffic.sends_away, abort, patience)
        moment = traffic.settled
        closer = asyncio.create_task(conversation.end_when(moment.wait))
        settled = moment.happened

        def ended() -> None:
            if scope["type"] == "websocket":
                work.told_to_go()
            if settled:
                work.sent_away()

        conversation.on_end = ended
        try:
            await conversation.run(self.app, scope)
        finally:
            closer.cancel()
        return conversation


def _answering(traffic: Traffic) -> Callable[[Send, Message], Awaitable[None]]:
    # Bound to `send`, this is as fast to create and to call as a method. A coroutine function
    # would double the cost of every message.
    def answer(send: Send, message: Message) -> Awaitable[None]:
        if traffic.sends_away and message["type"] == "http.response.start":
            headers = message.get("headers", ())
            kept = [pair for pair in headers if pair[0].lower() != b"connection"]
            message = {**message, "headers": [*kept, CLOSE_HEADER]}
            traffic.told_to_go.next()
        return send(message)

    return answer


def _tell_who_has_the_signals(life: Lifecycle) -> None:
    if life.config.qos_enabled:
        life.log.info(
            "signals are the server's",
            hint="The drain starts with a preStop hook: lifecycle prestop",
        )
    else:
        life.log.warning(
            "signals are the server's",
            problem="The QOS port is off, so a preStop hook cannot start the drain.",
            hint="Set LIFECYCLE_QOS_ENABLED=true, or call begin_drain() before the server stops.",
            see=help_page("signals-are-the-servers"),
        )


def _watched(receive: Receive, life: Lifecycle) -> Receive:
    """Warn if the server of a pod stops before the drain has started."""

    async def watched() -> Message:
        message = await receive()
        stops = message["type"] == "lifespan.shutdown" and life.state is State.READY
        if stops and not life.draining and os.environ.get(IN_A_POD):  # else Ctrl-C on a laptop
            life.log.warning(
                "the server stopped before the drain",
                problem="The server stopped listening while clients could still find this pod, "
                "so requests may be lost.",
                hint="If Kubernetes stopped the pod, add a preStop hook that runs: "
                "lifecycle prestop",
                see=help_page("server-stopped-before-the-drain"),
            )
        return message

    return watched


class Managed:
    """
    Runs pod-lifecycle in an ASGI app under your own server, for example uvicorn.

    pod-lifecycle starts in the lifespan of the server. The app becomes READY when its own
    startup is complete and the server listens on `port`.

    The server keeps handling the signals, and stops listening at SIGTERM. So add a preStop
    hook that runs `lifecycle prestop`, because only this hook can drain the app first.

    Under `lifecycle run -- COMMAND`, `Managed` does nothing, because the parent process runs
    pod-lifecycle for all workers of the server.

    Args:
        app: Your ASGI app.
        service: The name of the app service. Without a name, nothing is registered.
        port: The port of the server, 1 to 65535. The app is not READY before this port is open.
        config: The settings. The default is `Config()`.
        plugins: More plugins to load.
        recycle_timeout: Some servers start a new worker before the old one has ended. The new
            worker waits this many seconds for the QOS port. If the old worker still runs
            then, the new worker does not start.

    Raises:
        ValueError: `service` is not a valid name, or `port` is out of range.
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
        self._see = "managed-without-lifespan"
        self._why_not = (
            "Managed needs the lifespan of the server. Turn it on, for example with "
            "--lifespan on. daphne does not support it, so use another server."
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._has_parent:
            run = self._run_lifespan if scope["type"] == "lifespan" else self.app
            await run(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif self._inner is None:
            raise NotRunning(self._why_not, see=self._see)
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
            self._why_not = f"pod-lifecycle did not start: {said}"
            self._see = page_of(error) or help_page("managed-did-not-start")
            await receive()
            message = f"lifecycle: {lines(said)}\nSee {self._see}"
            await send({"type": "lifespan.startup.failed", "message": message})
            if known:
                return
            raise  # most servers print the traceback
        start_report = core_of(life).start_report
        start_report.main("lifespan")
        self._inner = Middleware(self.app, life)
        _tell_who_has_the_signals(life)
        started = asyncio.Event()
        readying = asyncio.create_task(self._ready(life, started))

        async def leave(problem: LifecycleError | None = None) -> None:
            readying.cancel()
            if not core_of(life).ended.happened:
                await life.__aexit__(type(problem) if problem else None, problem, None)

        async def send_on(message: Message) -> None:
            kind = message["type"]
            if kind == "lifespan.startup.failed":
                await leave(LifecycleError("the app's startup failed", see="app-startup-failed"))
            elif kind.startswith("lifespan.shutdown."):
                await leave()  # after this answer, the server does not wait
            await send(message)
            if kind == "lifespan.startup.complete":
                start_report.main("server")
                started.set()

        try:
            await self._run_lifespan(scope, _watched(receive, life), send_on)
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
            if asked:  # the app knows the protocol, and raised before it answered
                problem = f"{type(error).__name__}: {error}"
                await send({"type": "lifespan.startup.failed", "message": problem})
                raise
        if not said:
            # The app does not support the lifespan protocol, so this class answers for it.
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
                say_listening([self._port], life.log)
            try:
                if self._service is not None:
                    life.export(self._service, port=self._port)
                await life.ready()
            except (RegistrationRefused, AlreadyExported) as refused:
                life.log.error(  # noqa: TRY400
                    "registration refused",
                    reason=str(refused),
                    see=help_page("registration-refused"),
                )
            except Exception as error:  # noqa: BLE001 - else it is never READY, and no log line has the cause
                problem = f"{type(error).__name__}: {error}"
                life.log.error("not ready", problem=problem, see=help_page("not-ready"))  # noqa: TRY400
