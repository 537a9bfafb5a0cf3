"""The path of a request to its app: a stream of hypercorn, and a queue of ours between the two."""

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
The key in the scope whose value cuts the request off at once: its connection, or over HTTP/2 only
its stream.
"""


class AppRunner:
    """
    The replacement of the TaskGroup that hypercorn's streams use.

    Hypercorn's own TaskGroup gives the app a queue of ten messages. If the app does not read it,
    the code that puts the eleventh message waits forever, even if it puts the disconnect.

    Args:
        tasks: The task group for all started tasks.
        make: Makes the queue of the next request, "http" or "websocket".
        count: Called with +1 and −1 when an app starts and ends.
        wanted: Called before an app starts. Returns False if the client has cancelled the request.
        cut: Called when the app is cancelled, because the process exits.
        abort: The value under `ABORT` in the scope.
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
        """Start the app, and return the function that passes messages to it."""
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
        except Exception:  # noqa: BLE001 - the app's own error, logged as by hypercorn
            await config.log.exception("Error in ASGI Framework")
        finally:
            self._count(-1)
            queue.discard()
            try:
                await send(None)
            except Exception:  # the other streams of this connection continue
                logging.getLogger(__name__).debug("a response ended with an error", exc_info=True)


def new_stream(
    runner: AppRunner,
    number: int,
    send: Callable[[StreamEvent], Awaitable[None]],
    *,
    websocket: bool,
    **arguments: Unpack[StreamArguments],
) -> HTTPStream | WSStream:
    """
    Return the hypercorn stream for the app of one request.

    Args:
        runner: Runs the app.
        number: The number of the stream.
        send: Receives what the app sends.
        websocket: Whether the request is for a WebSocket.
        arguments: The arguments of all streams of the connection.
    """
    task_group: Any = runner
    if not websocket:
        return HTTPStream(task_group=task_group, send=send, stream_id=number, **arguments)
    stream = WSStream(task_group=task_group, send=send, stream_id=number, **arguments)
    stream.buffer = MessageBuffer(arguments["config"].websocket_max_message_size)
    return stream
