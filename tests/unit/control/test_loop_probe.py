"""An app whose loop is silent: not ready after seconds, not alive after the stall limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lifecycle.calls.app_loop import AppLoop
from lifecycle.contracts import ProbeResult
from lifecycle.control.default_probes import LoopProbe
from lifecycle.states import State, Transition


class Silent(AppLoop):
    """A loop that runs nothing of what is posted to it."""

    asked = 0

    def post(self, function: Callable[[], object]) -> bool:
        """Count it."""
        self.asked += 1
        return True


async def verdicts(probe: LoopProbe) -> list[ProbeResult]:
    """Ask for liveness and readiness, and wait for the answers."""
    asked = []
    for ask in (probe.lifecycle_liveness, probe.lifecycle_readiness):
        answer = ask()
        asked.append(answer if isinstance(answer, ProbeResult) else await answer)
    return asked


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
    app_loop = Silent(lambda: time[0])

    async def main() -> None:
        app_loop.attach()
        probe = LoopProbe(app_loop, live_limit, ready_limit, 0.01)
        time[0] += silence
        for state in State:
            probe.lifecycle_transition(Transition(State.STARTING, state, "", 0.0))
            watched = state is State.READY
            alive, serves = await verdicts(probe)
            assert (alive.ok, serves.ok) == ((live, ready) if watched else (True, True))
            for each in (alive, serves):
                assert each.reason == f"the app's loop was last seen {silence:.1f} s ago"
        app_loop.detach()

    asyncio.run(main())


def test_a_loop_that_was_silent_because_everything_stood_still() -> None:
    """Stopped and continued, or paused with its machine: it is asked before it is called silent."""
    time = [100.0]
    app_loop = AppLoop(lambda: time[0])

    async def main() -> None:
        app_loop.attach()
        probe = LoopProbe(app_loop, 30, 5, 10)
        probe.lifecycle_transition(Transition(State.STARTING, State.READY, "", 0.0))
        for _ in range(2):
            time[0] += 100
            both = probe.lifecycle_liveness(), probe.lifecycle_readiness()
            alive, serves = [await each for each in both]
            assert (alive.ok, serves.ok) == (True, True)
            assert serves.reason == "the app's loop was last seen 0.0 s ago"
        app_loop.detach()

    asyncio.run(main())


def test_a_blocked_loop_is_asked_once() -> None:
    """Each of its silences is waited for once, so that later probes are answered at once."""
    time = [100.0]
    app_loop = Silent(lambda: time[0])

    async def main() -> None:
        app_loop.attach()
        probe = LoopProbe(app_loop, 30, 5, 0.01)
        probe.lifecycle_transition(Transition(State.STARTING, State.READY, "", 0.0))
        for silences in (1, 2):
            for _ in range(3):
                time[0] += 100
                alive, serves = await verdicts(probe)
                assert (alive.ok, serves.ok, app_loop.asked) == (False, False, silences)
            app_loop.attach()  # it beats, and is silent again
        app_loop.detach()

    asyncio.run(main())
