"""The live display: what it shows of a rehearsal that goes on."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from lifecycle.rehearsal.display.live import Live
from lifecycle.rehearsal.measuring.stalls import Stall
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Plan
from lifecycle.rehearsal.rehearsal import Rehearsal

NOISY = "a process stood still, so the result may be INCONCLUSIVE"


class Generator:
    """A load generator that has seen something, and runs nothing."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally


def shown(load: list[Stall], own: list[Stall]) -> str:
    """Return what is drawn, without colours."""
    generator: Any = Generator(Tally(requests=12345, stalls=load))
    rehearsal = Rehearsal(Plan(("shop",)))
    rehearsal.phase, rehearsal.load, rehearsal.stalls = "starting the load", generator, own
    out = io.StringIO()
    live = Live(out)
    live._console.print(live._draw(rehearsal))
    return out.getvalue()


@pytest.mark.parametrize(
    ("load", "own", "noisy"),
    [(0.0, 0.0, False), (0.1, 0.1, False), (0.3, 0.0, True), (0.0, 0.3, True)],
)
def test_a_machine_that_stood_still_is_shown(load: float, own: float, *, noisy: bool):
    """While it goes on you can see that the result may be worth nothing, and end it."""
    now = time.monotonic()
    text = shown([Stall(now - load, now)], [Stall(now - own, now)])
    assert (NOISY in text) is noisy
    assert "starting the load" in text
    assert "12,345 requests" in text
