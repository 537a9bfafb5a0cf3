"""The end of a departure: what main leaves behind, what is told, and what hangs to the last."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from lifecycle.calls.stacks import Straggler
from lifecycle.drain.exit_code import Ending
from lifecycle.links import help_page
from tests.unit.drain.play import NEVER, Play, soon
from tests.unit.virtual_time import now, run


class Behind:
    """What main has left behind: it ends so long after it was told, under these names."""

    def __init__(self, seconds: float, *names: str) -> None:
        self.seconds = seconds
        self.left = [Straggler(name, [f"{name}.py:1 {name}"]) for name in names]
        self.told_at = 0.0

    def of(self, host: Any) -> None:
        """Let a host have it to clear up."""
        host.clear_up, host.left_behind = self._clear_up, lambda: self.left

    async def _clear_up(self) -> None:
        self.told_at = now()
        await asyncio.sleep(self.seconds)


@pytest.mark.parametrize(
    ("behind", "end", "cut_off"),
    [
        (Behind(0), 5, None),
        (Behind(3), 8, None),
        (Behind(NEVER, "a", "b"), 29, "a, b: ignored the cancellation"),
        (Behind(NEVER), 29, "the app's loop: ignored the cancellation"),
    ],
    ids=["at once", "after a while", "never", "nobody knows what"],
)
def test_what_main_leaves_behind_is_waited_for(
    behind: Behind, end: float, cut_off: str | None
) -> None:
    """As long as a cancelled main would be; what ignores its cancellation is named."""

    async def main() -> None:
        play = await Play().open()
        behind.of(play.host)
        play.signal()
        assert await play.end() == soon(end)
        assert play.report.get("cut_off") == (None if cut_off is None else [cut_off])
        assert play.departure.exit_code == (0 if cut_off is None else 124)
        assert play.departure.stubborn is (cut_off is not None)
        stuck_at = play.report.get("stuck_at")
        assert (stuck_at is not None) is (cut_off is not None)
        assert not behind.left or stuck_at == behind.left[0].stack

    run(main())


def test_what_is_left_behind_at_the_last_moment_has_a_moment_too() -> None:
    """Main has used up its time: 0.2 s are left for the others, and the closing is shorter."""

    async def main() -> None:
        behind = Behind(NEVER, "a")
        play = Play()
        play.deaf = True
        await play.open()
        behind.of(play.host)
        ending = Ending(3)
        play.host.straggler = lambda: Straggler("main", ["main.py:1 main"])
        play.host.cancel_main = lambda: play.at(
            0.95, lambda: play.departure.main_ended(ending, "main returned")
        )
        play.signal()
        assert await play.end() == pytest.approx(28.95 + 0.2, abs=0.05)
        assert behind.told_at == pytest.approx(now() - 0.2, abs=0.05)
        assert play.report["cut_off"] == [
            "main, which had not ended in time",
            "a: ignored the cancellation",
        ]
        assert play.report["stuck_at"] == ["main.py:1 main"], "main's, which came first"
        assert play.departure.exit_code == 3

    run(main())


def test_nothing_is_cleared_up_while_main_goes_on() -> None:
    """What main itself still uses is not taken from it."""

    async def main() -> None:
        behind = Behind(0)
        play = await Play().open()
        play.deaf = play.stubborn = True
        behind.of(play.host)
        play.signal()
        assert await play.end() == soon(29)
        assert behind.told_at == 0.0
        assert play.report["cut_off"] == [
            "main, which had not ended in time",
            "main, which did not end when it was cancelled",
        ]
        assert play.departure.stubborn is True

    run(main())


@pytest.mark.parametrize(("code", "after"), [(0, "stopped"), (3, "failed")])
def test_the_last_transition(code: int, after: str) -> None:
    """STOPPED or FAILED, and the exit code is its cause."""

    async def main() -> None:
        play = await Play(code=code).open()
        play.signal()
        await play.end()
        last = play.stage.conductor.transitions.history[-1]
        assert (last.after, last.cause) == (after, f"exit code {code}")

    run(main())


def test_steps_are_told_to_the_millisecond() -> None:
    """When each was done, after T0; the first time counts."""

    async def main() -> None:
        play = await Play().open()
        work = play.life.track()
        work.__enter__()
        play.at(7.12345, lambda: work.__exit__(None, None, None))
        play.cleanup = 1.00049
        play.signal()
        await play.end()
        steps = play.report["steps"]
        assert steps == {
            "deregister": 0.0,
            "settle": 5.0,
            "quiet": 7.123,
            "wait": 7.123,
            "stop": 8.124,
            "close": 8.124,
        }

    run(main())


def test_a_part_of_the_drain_that_fails_is_told() -> None:
    """Its step and its error are logged; the drain goes on to its deadline."""

    async def main() -> None:
        play = await Play().open()

        async def fail(**_: Any) -> None:
            raise ValueError("no")

        play.stage.core.traffic.gone = fail  # type: ignore[method-assign]
        play.signal()
        assert await play.end() == soon(25)
        assert play.stage.diary.of("drain") == [
            {
                "step": "_watch_traffic",
                "problem": "ValueError: no",
                "see": help_page("error-inside-pod-lifecycle"),
            }
        ]

    run(main())


def test_a_drain_that_goes_well_tells_of_no_problem() -> None:
    """Nothing fails, nothing is logged but what happens."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        await play.end()
        assert play.stage.diary.of("drain") == []
        assert play.stage.diary.of("plugin") == []

    run(main())


@pytest.mark.parametrize("order", ["before", "after"])
def test_a_signal_in_the_moment_of_the_deadline(order: str) -> None:
    """A timer that has run out is not set again."""

    async def main() -> None:
        play = await Play().open()
        play.life.track().__enter__()
        loop, began = asyncio.get_running_loop(), now()
        if order == "before":
            loop.call_at(began + 25, play.signal)
        play.prestop()
        for _ in range(10):
            await asyncio.sleep(0)
        if order == "after":
            loop.call_at(began + 25, play.signal)
        assert await play.end() <= 27
        assert play.drained_at <= 26

    run(main())


def test_a_timeout_of_the_work_itself_is_no_deadline() -> None:
    """What is waited for may fail with a TimeoutError of its own: that is not swallowed."""

    async def main() -> None:
        play = await Play().open()

        async def fail() -> None:
            raise TimeoutError("its own")

        with pytest.raises(TimeoutError, match="its own"):
            await play.departure._driver.by(fail(), lambda: now() + 5)
        play.signal()
        await play.end()

    run(main())


@pytest.mark.parametrize(("accepted_at", "end"), [(8, 8), (NEVER, 25)])
def test_who_waits_to_be_accepted_holds_the_drain(accepted_at: float, end: float) -> None:
    """On the port of a service: a listener that closes would reset them."""

    async def main() -> None:
        play = await Play().open()
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()),
        ):
            play.life.export("shop", port=listener.getsockname()[1])
            play.life.export("queue")

            def accept() -> None:
                listener.accept()[0].close()

            if accepted_at < NEVER:
                play.at(accepted_at, accept)
            play.signal()
            await asyncio.sleep(1)
            drain = play.life.snapshot()["drain"]
            assert drain is not None
            assert drain["waiting_for"] == ["1 in the accept queue"]
            assert await play.end() == soon(end)
        told = None if accepted_at < NEVER else "1 in the accept queue"
        assert play.report.get("waited_for") == told

    run(main())
