"""
How a container is ended.

    deletion   preStop                        SIGTERM                     SIGKILL
       ├──────────┼──────────────────────────────┼───────────────────────────┤
       │          │ at most the grace period     │ max(2 s, grace − preStop) │
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Final

from lifecycle.testing.handlers import HookFailed, Place, run_hook
from lifecycle.testing.processes import Process
from lifecycle.testing.specs import Container, Exec, HookHandler, Sleep

SHORTEST_WINDOW: Final = 2.0
"""Seconds that SIGTERM always leaves."""
SHORTEST_GRACE: Final = 1.0
"""Seconds of grace that a deletion has at least."""


@dataclass(eq=False)
class Ending:
    """
    When what happened, in seconds since it was decided; None for what did not happen.

    Attributes:
        decided_at: On the monotonic clock.
        pre_stop_started: The hook was begun.
        pre_stop_ended: It came back, or was cut short. None, though it was begun: abandoned.
        pre_stop_failed: It failed, could not be run, or the container ended under it.
        pre_stop_error: Why it failed, in words; empty if it did not.
        pre_stop_status: What an HTTP hook was answered with. The kubelet ignores it: a hook that
            was answered with 403 has not failed, and has not started a drain either.
        sigterm: SIGTERM was sent.
        sigkill: SIGKILL was needed.
        exited: The process was gone.
        exit_code: As a container's: 128 + the signal that ended it.
    """

    decided_at: float
    pre_stop_started: float | None = None
    pre_stop_ended: float | None = None
    pre_stop_failed: bool = False
    pre_stop_error: str = ""
    pre_stop_status: int | None = None
    sigterm: float | None = None
    sigkill: float | None = None
    exited: float | None = None
    exit_code: int | None = None

    @property
    def killed(self) -> bool:
        """True if SIGKILL was needed."""
        return self.sigkill is not None

    def since(self) -> float:
        """Return the seconds since it was decided."""
        return asyncio.get_running_loop().time() - self.decided_at


@dataclass(eq=False)
class Deletion(Ending):
    """
    A pod's deletion, as it goes on and when it is over: `await` it for its end.

    Attributes:
        grace: The grace period that counts.
    """

    grace: float = 30.0
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __await__(self) -> Generator[Any, Any, Deletion]:
        yield from self.over.wait().__await__()
        return self


class Killer:
    """
    Ends one container's process.

    Args:
        container: What it was made of.
        process: Its process.
        place: Where hooks work.
        warn: Takes reason, message and detail of a warning.
        hooks: Every hook under way, an abandoned one included, until it comes back.
    """

    def __init__(
        self,
        container: Container,
        process: Process,
        place: Place,
        warn: Callable[[str, str, str], None],
        hooks: set[asyncio.Task[None]],
    ) -> None:
        self._container = container
        self._process = process
        self._place = place
        self._warn = warn
        self._hooks = hooks

    async def kill(self, grace: float, ending: Ending) -> None:
        """Run the hook, send SIGTERM, and SIGKILL if it must be; returns when it is gone."""
        hook = self._container.pre_stop
        if hook is not None and grace > 0:
            began = ending.since()
            await self._pre_stop(hook, grace, ending)
            grace -= ending.since() - began
        if self._process.exit_code is None:
            ending.sigterm = ending.since()
        self._process.terminate(pid_1=self._container.pid_1)
        if not await self._ends_within(max(SHORTEST_WINDOW, grace)):
            ending.sigkill = ending.since()
            self._process.kill()
            await self._process.ended.wait()

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.ended.wait()
        return self._process.exit_code is not None

    async def _pre_stop(self, hook: HookHandler, grace: float, ending: Ending) -> None:
        ending.pre_stop_started = ending.since()
        task = asyncio.create_task(self._run(hook, ending))
        self._hooks.add(task)
        task.add_done_callback(self._hooks.discard)
        try:
            await asyncio.wait({task}, timeout=grace)
        except asyncio.CancelledError:
            if isinstance(hook, Exec | Sleep):
                task.cancel()  # an HTTP request knows nothing of it and goes on
            raise

    async def _run(self, hook: HookHandler, ending: Ending) -> None:
        why = ""
        try:
            ending.pre_stop_status = await run_hook(hook, self._place, self._process)
        except HookFailed as error:
            why = str(error)
            if self._process.exit_code is not None:
                why += " (the container ended while the hook was running)"
        except asyncio.CancelledError:
            why = "the kubelet was stopped while the hook was running"
        if why:
            ending.pre_stop_failed, ending.pre_stop_error = True, why
            self._warn("FailedPreStopHook", "PreStopHook failed", why)
        if ending.sigterm is None and ending.pre_stop_ended is None:
            ending.pre_stop_ended = ending.since()
