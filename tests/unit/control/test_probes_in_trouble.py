"""Probes that hang, that raise, or that a busy loop does not come round to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle.contracts import ProbeResult
from tests.unit.control.test_probes import LIVE, READY, Table, started
from tests.unit.virtual_time import Hang, move, run


@pytest.mark.parametrize("last", [True, False, None])
def test_liveness_when_the_apps_loop_is_busy(last: bool | None) -> None:
    """A liveness probe that the loop did not get round to keeps its last verdict, stale."""

    async def main() -> None:
        table = Table()

        async def alive() -> bool:
            return bool(last)

        table.add(LIVE, "db", alive)
        if last is not None:
            assert (await table.verdict(LIVE)).ok is last
        stuck = asyncio.SelectorEventLoop()
        move(table.app_loop, stuck)
        await asyncio.sleep(1)
        verdict = await table.verdict(LIVE)
        (answer,) = verdict.answers
        assert (answer.ok, answer.stale) == (last is not False, True)
        assert "the app's event loop is busy" in answer.reason
        stuck.close()

    run(main())


def test_readiness_when_the_apps_loop_is_busy() -> None:
    """A readiness probe that the loop did not get round to is false: nobody is served there."""

    async def main() -> None:
        table = started(Table())

        async def ready() -> bool:
            return True

        table.add(READY, "db", ready)
        stuck = asyncio.SelectorEventLoop()
        move(table.app_loop, stuck)
        assert await table.says(READY) == {"db": False}
        stuck.close()

    run(main())


def test_a_liveness_probe_that_hangs_by_itself() -> None:
    """Hanging on a loop that is fine is the probe's own failure."""
    hang = Hang()

    async def hangs() -> None:
        await asyncio.sleep(1e6)

    async def main() -> None:
        table = Table()
        table.add(LIVE, "awaits", hangs)
        table.add(LIVE, "blocks", hang.wait)
        assert await table.says(LIVE) == {"awaits": False, "blocks": False}
        hang.let_go()
        await asyncio.sleep(1)

    run(main())


def test_probes_are_asked_side_by_side() -> None:
    """Ten that hang take one deadline, not ten."""

    async def hangs() -> None:
        await asyncio.sleep(1e6)

    async def main() -> None:
        table = started(Table())
        for number in range(10):
            table.add(READY, f"p{number}", hangs)
        table.add(READY, "fine", lambda: True)
        began = asyncio.get_running_loop().time()
        assert sum((await table.says(READY)).values()) == 1
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.8)

    run(main())


class Leaving(ProbeResult):
    """Wants out once it is read."""

    def __getattribute__(self, name: str) -> Any:
        if name == "reason" and object.__getattribute__(self, "ok") is False:
            raise SystemExit(3)
        return super().__getattribute__(name)

    def __post_init__(self) -> None: ...


def test_an_answer_that_wants_to_exit_when_it_is_read() -> None:
    """It is read on the control loop, which it does not end: it is a failure of its own plugin."""

    async def main() -> None:
        table = started(Table())
        table.add(READY, "bad", lambda: Leaving(False))
        table.add(READY, "good", lambda: True)
        verdict = await table.verdict(READY)
        assert {a.name: (a.ok, a.reason) for a in verdict.answers} == {
            "bad": (False, "the answer raised SystemExit: 3"),
            "good": (True, ""),
        }

    run(main())
