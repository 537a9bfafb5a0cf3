"""An app whose loop is silent: not ready after seconds, not alive after the stall limit."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.builtin import LoopProbe
from lifecycle.guest import Guest
from lifecycle.states import State, Transition


@pytest.mark.parametrize(
    ("live_limit", "ready_limit", "silence", "live", "ready"),
    [
        (30, 5, 5.0, True, True),
        (30, 5, 5.1, True, False),
        (30, 5, 30.0, True, False),
        (30, 5, 30.1, False, False),
        (30, 0, 29.9, True, True),
        (30, 0, 30.1, False, False),
        (0, 5, 1e6, True, False),
        (0, 0, 1e6, True, True),
        (2, 5, 2.1, False, False),
        (2, 5, 2.0, True, True),
    ],
)
def test_how_long_the_loop_may_be_silent(
    *, live_limit: float, ready_limit: float, silence: float, live: bool, ready: bool
) -> None:
    """Who is not alive is never ready; 0 switches a limit off; the answer tells the age."""
    time = [100.0]
    guest = Guest(lambda: time[0])

    async def main() -> None:
        guest.attach()
        probe = LoopProbe(guest, live_limit, ready_limit)
        time[0] += silence
        for state in State:
            probe.lifecycle_transition(Transition(State.STARTING, state, "", 0.0))
            watched = state is State.READY
            alive, serves = probe.lifecycle_liveness(), probe.lifecycle_readiness()
            assert (alive.ok, serves.ok) == ((live, ready) if watched else (True, True))
            for each in (alive, serves):
                assert each.reason == f"the app's loop was last seen {silence:.1f} s ago"
        guest.detach()

    asyncio.run(main())
