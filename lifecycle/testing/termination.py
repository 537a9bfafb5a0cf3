"""
The end of a container: preStop, SIGTERM and SIGKILL.

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
"""Seconds that a container always has after SIGTERM."""
SHORTEST_GRACE: Final = 1.0
"""The shortest grace period of a deletion, in seconds."""


@dataclass(eq=False)
class Ending:
    """
    The times of a container's end, in seconds since the decision, or None for what did not happen.

    Attributes:
        decided_at: When the end was decided, on the monotonic clock.
        pre_stop_started: When the hook was started.
        pre_stop_ended: When the hook returned, or was cut off. None after a start if it was
            abandoned.
        pre_stop_failed: Whether the hook failed, could not be run, or the container ended during
            it.
        pre_stop_error: Why the hook failed, in words, or "" if it did not.
        pre_stop_status: The response status of an HTTP hook. The kubelet ignores it: a hook that
            was answered with 403 has not failed, but has not started a drain either.
        sigterm: When SIGTERM was sent.
        sigkill: When SIGKILL was sent.
        exited: When the process was gone.
        exit_code: The exit code as of a container: 128 + the signal that killed it.
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
        """Return the seconds since the decision."""
        return asyncio.get_running_loop().time() - self.decided_at


@dataclass(eq=False)
class Deletion(Ending):
    """
    The deletion of a pod, while it runs and afterwards. `await` it to wait for its end.

    Attributes:
        grace: The effective grace period, in seconds.
    """

    grace: float = 30.0
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def __await__(self) -> Generator[Any, Any, Deletion]:
        yield from self.over.wait().__await__()
        return self


class Killer:
    """
    Ends the process of one container.

    Args:
        container: The spec of the container.
        process: The process.
        place: The pod, in which hooks run.
        warn: Records a warning with a reason, a message and a detail.
        hooks: All running hooks, including abandoned ones, until they return.
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
        """Run the hook, send SIGTERM, and SIGKILL if needed. Returns when the process is gone."""
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
                task.cancel()  # an HTTP request continues on the server
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
