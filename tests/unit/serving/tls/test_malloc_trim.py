"""When memory is given back."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.serving.tls.malloc_trim import DELAY, FEW, MANY, PAUSE, Trimmer, trim
from tests.unit.virtual_time import now, run


@pytest.mark.parametrize(
    ("counts", "times"),
    [
        ([1, MANY - 1, 0], []),
        ([MANY, MANY // FEW + 1], []),
        ([MANY, MANY // FEW], [DELAY]),
        ([MANY, 0, 1, 0], [DELAY]),
        ([MANY, 0, MANY, 0], [DELAY]),
        ([MANY, 0, None, MANY, 0], [DELAY, DELAY + PAUSE]),
    ],
)
def test_it_is_given_back_once_many_have_gone(counts: list[int | None], times: list[float]) -> None:
    """Not for a few, and not at once again for a crowd that comes again (None: after a pause)."""

    async def main() -> None:
        loop, given = asyncio.get_running_loop(), []
        trimmer = Trimmer(loop.time, loop.call_at, lambda: given.append(now()))
        began = now()
        for count in counts:
            if count is None:
                await asyncio.sleep(PAUSE / 2)
            else:
                trimmer.note_count(count)
        await asyncio.sleep(10 * PAUSE)
        assert given == [pytest.approx(began + each) for each in times]

    run(main())


def test_what_takes_long_is_done_seldom() -> None:
    """It takes a fiftieth of all time at most, however much memory it has to walk through."""
    at, planned = 100.0, []

    def give_back() -> None:
        nonlocal at
        at += 0.4

    trimmer = Trimmer(lambda: at, lambda when, then: planned.append((when, then)), give_back)
    for _ in range(2):
        trimmer.note_count(MANY)
        trimmer.note_count(0)
        when, then = planned[-1]
        at = max(at, when)
        then()
    (first, _), (second, _) = planned
    assert first == 100.0 + DELAY
    assert second == pytest.approx(first + 0.4 + 50 * 0.4)


def test_trim_does_no_harm() -> None:
    """Whatever the system."""
    trim()
    trim()
