"""The queue of transitions for one plugin."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from lifecycle.calls.dispatch import Delivery
from lifecycle.calls.runs import Outcome


class Mailbox:
    """
    Delivers transitions to one plugin, in order, one at a time.

    A slow plugin delays only its own next transition.
    """

    def __init__(self, call: Delivery, on_problem: Callable[[str, str], None]) -> None:
        self._call = call
        self._on_problem = on_problem
        self._waiting: deque[dict[str, Any]] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, **offered: Any) -> None:
        """Deliver now to a built-in plugin, soon to any other. Call this on the control loop."""
        if self._call.immediate:
            self._note(self._call.now(**offered))
            return
        self._waiting.append(offered)
        if self._task is None:
            self._task = asyncio.create_task(self._deliver())

    async def _deliver(self) -> None:
        while self._waiting:
            await self._call(self._note, **self._waiting.popleft())
        # In the same step, because a later `put` needs a new task.
        self._task = None

    def _note(self, outcome: Outcome) -> None:
        if problem := outcome.problem():
            self._on_problem(self._call.plugin, problem)

    @property
    def registration(self) -> object:
        """Identifies the installation of the plugin. A plugin may be removed and added again."""
        return self._call.implementation.registration

    async def empty(self) -> None:
        """Wait until everything is delivered."""
        while self._task is not None:
            await asyncio.wait({self._task})

    def close(self) -> None:
        """Stop the delivery."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None
