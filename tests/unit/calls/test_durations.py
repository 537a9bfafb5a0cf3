"""How long runs took, as a histogram."""

from __future__ import annotations

import asyncio

from lifecycle.calls.durations import BOUNDS, Durations
from lifecycle.calls.runs import Status
from tests.unit.virtual_time import attached, call, idle, move, run


def test_a_run_is_in_the_bucket_whose_bound_it_does_not_exceed() -> None:
    """A bound belongs to its bucket, as in Prometheus; the last bucket has none."""
    durations = Durations()
    for seconds in (0.0, BOUNDS[0], BOUNDS[1], BOUNDS[-1], BOUNDS[-1] + 1):
        durations.note(seconds)
    counts = durations.status()["counts"]
    assert len(counts) == len(BOUNDS) + 1
    assert (counts[0], counts[1], counts[-2], counts[-1]) == (2, 1, 1, 1)
    assert durations.status()["seconds"] == sum((*BOUNDS[:2], BOUNDS[-1] * 2 + 1))


def test_a_shared_run_counts_once() -> None:
    """However many callers share it; the next run counts again."""

    async def main() -> None:
        async def probe() -> bool:
            await asyncio.sleep(0.2)
            return True

        asked = call(probe, attached())
        assert asked.durations is None
        await asyncio.gather(*(asked() for _ in range(5)))
        assert asked.durations is not None
        assert sum(asked.durations.counts) == 1
        assert asked.durations.counts[BOUNDS.index(0.25)] == 1
        await idle(asked)
        await asked()
        await asyncio.sleep(0)
        assert sum(asked.durations.counts) == 2

    run(main())


def test_a_run_that_hangs_counts_once_with_its_timeout() -> None:
    """Callers that come while it still hangs start no other run."""

    async def main() -> None:
        async def probe() -> bool:
            while True:
                try:
                    await asyncio.get_running_loop().create_future()
                except asyncio.CancelledError:
                    if free.is_set():
                        raise

        free = asyncio.Event()
        asked = call(probe, attached())
        for _ in range(3):
            assert (await asked()).status is Status.LATE
        assert asked.durations is not None
        assert sum(asked.durations.counts) == 1
        assert asked.durations.counts[BOUNDS.index(1.0)] == 1  # 0.8 s
        free.set()
        for each in asked._app_loop.hooks:
            each.cancel()
        await idle(asked)

    run(main())


def test_what_never_started_has_no_duration() -> None:
    """The app's loop was busy: that is not the time that the probe takes."""

    async def main() -> None:
        async def probe() -> bool:
            return True

        app_loop = attached()
        asked = call(probe, app_loop, start_within=0.05)
        stuck = asyncio.new_event_loop()
        try:
            move(app_loop, stuck)
            assert (await asked()).status is Status.UNSTARTED
        finally:
            stuck.close()
        await asyncio.sleep(0)
        assert asked.durations is None

    run(main())


def test_built_in_probes_are_not_measured() -> None:
    """They look at our own state."""

    async def main() -> None:
        asked = call(lambda: True, attached(), inline=True)
        await asked()
        await asyncio.sleep(0)
        assert asked.durations is None

    run(main())
