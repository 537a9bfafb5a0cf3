"""
Faults one after another, and two at a time, in an order that Hypothesis draws.

What has failed is printed as steps, with the seed: `SEED=… pytest tests/faults/test_orders.py`
plays the same steps again. `ORDERS=20` plays more of them.
"""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.faults.cell import LEAVING, SETTLE, STARTED, Stage, allowed, wait
from tests.faults.faults import FAULTS, Fault, Kind, State
from tests.faults.proxy import Proxy
from tests.faults.subjects import SUBJECTS, Subject
from tests.registries.building import LONGEST

SEED: Final = int(os.environ.get("SEED") or random.randrange(2**32))
ORDERS: Final = int(os.environ.get("ORDERS") or 2)
NOTHING: Final = Fault("nothing", Kind.HARMLESS, lambda _: None)
PLAYED: Final = [each for each in FAULTS if State.READY in each.states and each.kind != Kind.DEATH]
NETWORK: Final = [NOTHING, *(each for each in PLAYED if each.network)]
OTHER: Final = [NOTHING, *(each for each in PLAYED if not each.network)]
Step = tuple[Fault, Fault, float]


def steps() -> st.SearchStrategy[list[Step]]:
    """Draw a fault of the network and another one for each step, and its seconds."""
    step = st.tuples(
        st.sampled_from(NETWORK), st.sampled_from(OTHER), st.sampled_from((0.1, 1.0, 6.0))
    )
    return st.lists(step, min_size=3, max_size=6)


def told(order: list[Step]) -> str:
    """Write an order down."""
    lines = [f"{one.name} and {two.name} for {seconds} s" for one, two, seconds in order]
    return f"SEED={SEED}: " + ", then ".join(lines)


def play(stage: Stage, order: list[Step]) -> None:
    """Play an order on an app that is ready. After each step, the app is registered again."""
    for two, one, seconds in order:
        one.begin(stage)
        two.begin(stage)
        if one.kind is Kind.ABSENCE:
            wait(seconds)
        else:
            refused = stage.last(seconds)
            assert not refused or one.kind is Kind.LOSS, refused
        one.end(stage)
        two.end(stage)
        stage.back(max(allowed(stage.subject, each) for each in (one, two)))


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize(
    "subject", [pytest.param(each, id=each.name) for each in SUBJECTS if each.installed]
)
def test_an_app_survives_any_order(
    subject: Subject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @seed(SEED)
    @settings(
        max_examples=ORDERS,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(steps())
    def orders(order: list[Step]) -> None:
        survive(subject, order, tmp_path_factory.mktemp("order"))

    orders()


def survive(subject: Subject, order: list[Step], folder: Path) -> None:
    """Play an order, and let the app leave."""
    with ExitStack() as stack:
        server = stack.enter_context(subject.make(folder))
        proxy = stack.enter_context(Proxy(server.port))
        stage = Stage(subject, server, proxy, folder, stack)
        stage.launch()
        stage.back(STARTED)
        try:
            play(stage, order)
            stage.app.signal(signal.SIGTERM)
            stage.left(SETTLE + LEAVING)
            stage.nothing_is_stored(0)
        except AssertionError as error:
            raise AssertionError(f"{told(order)}\n{error}") from error
