"""An app on the stage, and what happens to it from T0 on, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lifecycle.config import Config
from lifecycle.drain.exit_code import Ending
from lifecycle.states import State
from tests.unit.virtual_time import Stage, now

NEVER = 1e9


class Play:
    """An app on the stage: what it does, and when things happened to it, in seconds after T0."""

    def __init__(self, *plugins: object, code: int = 0, **config: Any) -> None:
        self.stage = Stage(Config(**config), plugins)
        self.life, self.departure = self.stage.life, self.stage.departure
        self.host = self.stage.host
        self.code = code
        self.cleanup = 0.0
        self.deaf = False
        self.stubborn = False
        self.job = False
        self.drained_at = self.seconds = -1.0

    async def open(self, *, ready: bool = True) -> Play:
        """Come to READY with one service, or stay in STARTING."""
        await self.stage.open()
        self.main = asyncio.create_task(self._main())
        self.host.cancel_main = self.main.cancel  # type: ignore[assignment, method-assign]
        if ready:
            self.life.export("orders", port=80)
            await self.life.ready()
        return self

    async def _main(self) -> None:
        cancelled = False
        while True:
            try:
                self.seconds = await self.life.drained()
                self.drained_at = self.after()
                await asyncio.sleep(NEVER if self.deaf else self.cleanup)
            except asyncio.CancelledError:
                if self.stubborn:
                    continue
                cancelled = True
            break
        self.departure.main_ended(Ending(self.code, self.job and cancelled), "main returned")

    def after(self) -> float:
        """Return how long ago T0 was."""
        assert self.departure.drain is not None
        return now() - self.departure.drain.timetable.began

    def at(self, seconds: float, act: Callable[[], Any]) -> None:
        """Do something so long from now."""
        asyncio.get_running_loop().call_later(seconds, act)

    def signal(self, name: str = "SIGTERM", *, terminal: bool = False) -> None:
        """Send a signal."""
        self.departure.signal(name, terminal=terminal)

    def prestop(self, gone: Callable[[], Awaitable[Any]] | None = None) -> asyncio.Task[float]:
        """Call preStop; the task returns when it was answered, in seconds after T0."""

        async def call() -> float:
            await self.departure.prestop(gone or asyncio.get_running_loop().create_future)
            return self.after()

        return asyncio.create_task(call())

    async def end(self) -> float:
        """Return when it was over."""
        await self.stage.task
        took = self.after()
        self.stage.core.app_loop.detach()
        self.stubborn = False
        self.main.cancel()
        await asyncio.wait({self.main})
        return took

    @property
    def report(self) -> Any:
        """What was said at the end."""
        (report,) = self.stage.diary.of("drain report")
        return report

    @property
    def state(self) -> State:
        """The state."""
        return self.life.state


def soon(seconds: float) -> Any:
    """Compare to a time, with what a handful of steps may take."""
    return pytest.approx(seconds, abs=0.11)
