"""Trying again until it works."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.control.backoff import until_done
from tests.unit.virtual_time import now, run


class Attempt:
    """Fails so often, and notes when it was tried."""

    def __init__(self, failures: float, error: type[BaseException] = OSError) -> None:
        self.failures = failures
        self.error = error
        self.at: list[float] = []

    async def __call__(self) -> None:
        """Try."""
        self.at.append(now())
        await asyncio.sleep(0)
        if len(self.at) <= self.failures:
            raise self.error


def test_pauses_grow_and_are_bounded() -> None:
    """Each pause is longer than the one before, with jitter, and none exceeds the longest."""

    async def main() -> None:
        attempt = Attempt(30)
        await until_done(attempt, first=0.1, longest=15)
        pauses = [b - a for a, b in zip(attempt.at, attempt.at[1:], strict=False)]
        assert pauses[0] == pytest.approx(0.1)
        assert all(pause <= 15 for pause in pauses)
        assert pauses[:8] == sorted(pauses[:8])
        assert all(pause >= 14.9 for pause in pauses[9:])

    run(main())


@pytest.mark.parametrize("failures", [0, 3])
def test_what_is_fatal_is_raised(failures: int) -> None:
    """Whether it comes at the first try or at a later one."""

    async def main() -> None:
        attempt = Attempt(failures)

        async def act() -> None:
            await attempt()
            raise LookupError

        with pytest.raises(LookupError):
            await until_done(act, fatal=(LookupError,))
        assert len(attempt.at) == failures + 1

    run(main())


@pytest.mark.parametrize("tries", [1, 2, 5])
def test_a_cancellation_ends_it(tries: int) -> None:
    """Cancelled in the middle of whichever try: it ends, and is not tried again."""

    async def main() -> None:
        attempt = Attempt(tries - 1)

        async def act() -> None:
            await attempt()
            await asyncio.sleep(1e9)

        task = asyncio.create_task(until_done(act))
        while len(attempt.at) < tries:
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        assert task.cancelled()
        assert len(attempt.at) == tries

    run(main())
