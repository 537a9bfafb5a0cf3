"""Takes the steps of a drain in their order. It only waits for facts, for any steps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from itertools import zip_longest
from typing import Any

from lifecycle.drain.order import Actions, Facts, Step, Terms
from lifecycle.drain.timetable import Timetable


class Driver:
    """
    Takes the steps of a drain, one after the other. For the control loop.

    Args:
        order: The steps.

    Attributes:
        facts: The facts that are true.
        step: The name of the current step. At the end, that of the last step.
    """

    def __init__(self, order: Sequence[Step]) -> None:
        self.facts = Facts()
        self.step = ""
        self._order = order
        self._clock = asyncio.get_running_loop().time
        self._changed = asyncio.Event()
        self._planned: dict[asyncio.Timeout, Callable[[], float]] = {}

    def note(self, **facts: bool) -> None:
        """Store facts that are true from now on."""
        self.facts = self.facts._replace(**facts)
        self._changed.set()

    async def run(
        self, actions: Actions, timetable: Timetable, terms: Terms, mark: Callable[[str], None]
    ) -> None:
        """
        Take all steps.

        Args:
            actions: The actions of the steps.
            timetable: The times by which they end.
            terms: Other values for these times.
            mark: Called with the name of each finished step.
        """
        marks = False
        for step, following in zip_longest(self._order, self._order[1:]):
            taken = await self._take(step, actions, timetable, terms)
            marks = marks or taken
            if marks and (following is None or following.name != step.name):
                mark(step.name)
                marks = False
            if taken:  # last, because the report includes its own step
                step.then(actions)
            step.after(actions)

    async def _take(self, step: Step, actions: Actions, timetable: Timetable, terms: Terms) -> bool:
        if step.skip(self.facts):
            return False
        self.step = step.name
        terms = terms._replace(began=self._clock())
        step.begin(actions)
        await self.by(self._over(step, actions), lambda: step.until(timetable, terms))
        if not step.over(self.facts):
            step.late(actions)
        return True

    async def _over(self, step: Step, actions: Actions) -> None:
        work = None if step.work is None else asyncio.ensure_future(step.work(actions))
        try:
            if work is not None:
                work.add_done_callback(lambda _: self._changed.set())
            while not step.over(self.facts):
                self._changed.clear()
                await self._changed.wait()
                if work is not None and work.done():
                    work.result()  # raises an error of the work
        finally:
            if work is not None:
                work.cancel()

    async def by(self, work: Awaitable[Any], until: Callable[[], float]) -> bool:
        """Await work until a time that may change. False if this time came first."""
        done = False
        timer = asyncio.timeout_at(_when(until))
        try:
            async with timer:
                self._planned[timer] = until
                try:
                    await work
                    done = True
                finally:
                    del self._planned[timer]
        except TimeoutError:
            if not timer.expired():
                raise
        return done

    def replan(self) -> None:
        """Plan all waits again, because the timetable has become shorter."""
        for timer, until in self._planned.items():
            if not timer.expired():
                timer.reschedule(_when(until))


def _when(until: Callable[[], float]) -> float | None:
    deadline = until()
    return None if math.isinf(deadline) else deadline
