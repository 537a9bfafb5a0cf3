"""How a stream of hypercorn's runs its app: with an inbox of ours between the two."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from hypercorn.asyncio.task_group import TaskGroup

from lifecycle.serving.inbox import Inbox

ABORT: Final = "lifecycle.abort"
"""
The key of a scope under which the app finds how to cut its request short at once: with its
connection, or over HTTP/2 its stream alone.
"""


class Spawner:
    """
    What a stream takes for its TaskGroup.

    Hypercorn's own hands the app a queue of ten messages: when nobody reads it, whoever puts
    the eleventh waits for ever, be it the one who answers and puts the disconnect.

    Args:
        tasks: Where what is spawned belongs.
        make: Makes the inbox of the next request, "http" or "websocket".
        count: Told +1 and −1: how many apps run.
        wanted: Asked before the app begins: False if the client has taken the request back.
        cut: Called when the app is cancelled: the process is leaving.
        abort: What the app finds under `ABORT`.
    """

    def __init__(
        self,
        tasks: TaskGroup,
        make: Callable[[str], Inbox],
        count: Callable[[int], None] = lambda _: None,
        wanted: Callable[[], bool] = lambda: True,
        cut: Callable[[], None] = lambda: None,
        abort: Callable[[], None] | None = None,
    ) -> None:
        self._tasks = tasks
        self._make = make
        self._count = count
        self._wanted = wanted
        self._cut = cut
        self._abort = abort

    async def spawn_app(self, app: Any, config: Any, scope: Any, send: Any) -> Any:
        """Start the app, and return how it is handed what comes."""
        inbox = self._make(scope["type"])
        if self._abort is not None:
            scope[ABORT] = self._abort
        self._tasks.spawn(self._run, app, config, scope, inbox, send)
        return inbox.put

    def spawn(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Start a task."""
        self._tasks.spawn(function, *arguments)

    async def _run(self, app: Any, config: Any, scope: Any, inbox: Inbox, send: Any) -> None:
        if not self._wanted():
            return
        self._count(1)
        try:
            await app(scope, inbox.get, send, None, None)
        except asyncio.CancelledError:
            self._cut()
            raise
        except Exception:  # noqa: BLE001 - the app's own, and told as hypercorn does
            await config.log.exception("Error in ASGI Framework")
        finally:
            self._count(-1)
            inbox.discard()
            try:
                await send(None)
            except Exception:  # the others on this connection go on
                logging.getLogger(__name__).debug("an answer has ended badly", exc_info=True)
