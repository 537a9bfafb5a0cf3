"""The lifespan protocol for an ASGI app that this process serves itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self

from lifecycle.calls.moment import Moment
from lifecycle.calls.stacks import await_chain
from lifecycle.exceptions import Draining
from lifecycle.links import help_page

Message = dict[str, Any]

LAST_WORD: Final = 0.2
"""Seconds for an app to return from its lifespan after its last message."""


class Lifespan:
    """
    Runs an app's startup before a block, and its shutdown after it.

    An app without lifespan support is accepted. If an app asks for the startup event and then
    raises, it has not started, and its own error is raised.

    Args:
        app: The ASGI app.
        state: The state that the app fills for its requests.
        unless: Awaited during the startup. If it returns first, the startup is abandoned.

    Raises:
        SystemExit: The app has reported that its startup or shutdown failed.
        Draining: `unless` returned first.
    """

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        state: dict[str, Any],
        *,
        unless: Callable[[], Awaitable[object]],
    ) -> None:
        self._app = app
        self._state = state
        self._unless = unless
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._started: Moment[str] = Moment()
        self._stopped: Moment[str] = Moment()
        self._known = False
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._speak(), name="lifespan")
        self._inbox.put_nowait({"type": "lifespan.startup"})
        problem = await self._startup()
        if problem or self._task.done():
            await self._end("start", problem)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping = True
        self._inbox.put_nowait({"type": "lifespan.shutdown"})
        await self._end("stop", await self._stopped.wait())

    def standing(self) -> list[str]:
        """Return the stack of the app's running shutdown, innermost last, or [] if none runs."""
        going = self._stopping and not self._stopped.happened
        return await_chain(self._task) if going else []

    async def _startup(self) -> str:
        started = asyncio.ensure_future(self._started.wait())
        instead = asyncio.ensure_future(self._unless())
        try:
            await asyncio.wait({started, instead}, return_when=asyncio.FIRST_COMPLETED)
            if started.done():
                return started.result()
            self._task.cancel()
            await asyncio.wait({self._task})
            raise Draining("the app was asked to exit before it had started", see="draining")
        finally:
            started.cancel()
            instead.cancel()

    async def _end(self, what: str, problem: str) -> None:
        task = self._task
        await asyncio.wait({task}, timeout=LAST_WORD)
        task.cancel()
        if problem:
            # Many apps report the error, and then raise it too.
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            page = help_page("app-startup-failed")
            raise SystemExit(f"lifecycle: the app did not {what}: {problem}\nSee {page}")
        if task.done():
            task.result()

    async def _speak(self) -> None:
        asgi = {"version": "3.0", "spec_version": "2.0"}
        scope = {"type": "lifespan", "asgi": asgi, "state": self._state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            if self._known:
                raise
            logging.getLogger("lifecycle").debug("the app does not support lifespan: %r", error)
        finally:
            self._started.set("")
            self._stopped.set("")

    async def _receive(self) -> Message:
        self._known = True
        return await self._inbox.get()

    async def _send(self, message: Message) -> None:
        problem = message.get("message") or "the app gave no reason"
        match message["type"]:
            case "lifespan.startup.complete":
                self._started.set("")
            case "lifespan.startup.failed":
                self._started.set(problem)
            case "lifespan.shutdown.complete":
                self._stopped.set("")
            case "lifespan.shutdown.failed":
                self._stopped.set(problem)
