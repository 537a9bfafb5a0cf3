"""How a request reaches its app: a stream of hypercorn's, and a queue of ours between the two."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Unpack

from lifecycle.serving.hypercorn import HTTPStream, StreamArguments, StreamEvent, WSStream
from lifecycle.serving.receive_queue import ReceiveQueue
from lifecycle.serving.websocket_buffer import MessageBuffer

ABORT: Final = "lifecycle.abort"
"""
The key of a scope under which the app finds how to cut its request short at once: with its
connection, or over HTTP/2 its stream alone.
"""


class AppRunner:
    """
    What a stream takes for its TaskGroup.

    Hypercorn's own hands the app a queue of ten messages: when nobody reads it, whoever puts
    the eleventh waits for ever, be it the one who answers and puts the disconnect.

    Args:
        tasks: Where what is spawned belongs.
        make: Makes the queue of the next request, "http" or "websocket".
        count: Told +1 and −1: how many apps run.
        wanted: Asked before the app begins: False if the client has taken the request back.
        cut: Called when the app is cancelled: the process is leaving.
        abort: What the app finds under `ABORT`.
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        make: Callable[[str], ReceiveQueue],
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
        queue = self._make(scope["type"])
        if self._abort is not None:
            scope[ABORT] = self._abort
        self._tasks.create_task(self._run(app, config, scope, queue, send))
        return queue.put

    def spawn(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Start a task."""
        self._tasks.create_task(function(*arguments))

    async def _run(self, app: Any, config: Any, scope: Any, queue: ReceiveQueue, send: Any) -> None:
        if not self._wanted():
            return
        self._count(1)
        try:
            await app(scope, queue.get, send)
        except asyncio.CancelledError:
            self._cut()
            raise
        except Exception:  # noqa: BLE001 - the app's own, and told as hypercorn does
            await config.log.exception("Error in ASGI Framework")
        finally:
            self._count(-1)
            queue.discard()
            try:
                await send(None)
            except Exception:  # the others on this connection go on
                logging.getLogger(__name__).debug("an answer has ended badly", exc_info=True)


def new_stream(
    runner: AppRunner,
    number: int,
    send: Callable[[StreamEvent], Awaitable[None]],
    *,
    websocket: bool,
    **arguments: Unpack[StreamArguments],
) -> HTTPStream | WSStream:
    """
    Return what speaks ASGI with the app of one request.

    Args:
        runner: Runs the app.
        number: The stream's.
        send: Takes what the app answers.
        websocket: What was asked for.
        arguments: What all streams of the connection are made of.
    """
    task_group: Any = runner
    if not websocket:
        return HTTPStream(task_group=task_group, send=send, stream_id=number, **arguments)
    stream = WSStream(task_group=task_group, send=send, stream_id=number, **arguments)
    stream.buffer = MessageBuffer(arguments["config"].websocket_max_message_size)
    return stream
