"""The time of the API server."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lifecycle_fleet.cluster.api import Api, connected
from lifecycle_fleet.cluster.clock import Clock
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.errors import ApiServerError

from plugins.fleet.tests.api_server import LATEST, ApiServer

START = 1_764_530_000.0
FLOATING = 1e-5
"""Seconds that are lost where large and small numbers are added."""

offsets = st.floats(-1e6, 1e6)
answers = st.tuples(
    st.floats(0, 300), st.floats(0, 5), st.floats(0, 5), st.one_of(st.none(), offsets)
)
"""Seconds before an answer, to the server and back, and the offset after the clock was set."""


@given(offset=offsets, series=st.lists(answers, min_size=1, max_size=12))
@example(offset=0.9, series=[(0.0, 0.0, 0.0, None), (0.5, 0.0, 0.0, None)])
@example(offset=40.0, series=[(0.0, 0.0, 0.0, None), (1.0, 0.0, 0.0, 0.0)])
def test_the_offset_is_right_to_a_second(
    offset: float, series: list[tuple[float, float, float, float | None]]
) -> None:
    """After each answer it is right to a second and the time of that answer, also if a clock is set."""
    local, clock = START, Clock()
    for pause, there, back, set_to in series:
        offset = offset if set_to is None else set_to
        sent = local + pause
        written = sent + there + offset
        local = sent + there + back
        clock.answered(formatdate(math.floor(written), usegmt=True), sent, local)
        assert abs(clock.offset - offset) <= 1.0 + there + back + FLOATING


def test_a_clock_that_agrees_is_left_alone() -> None:
    """A `Date` has whole seconds, so it is up to a second old, which proves nothing."""
    clock = Clock()
    for part in (0.0, 0.3, 0.999):
        clock.answered(formatdate(START, usegmt=True), START + part, START + part)
    assert clock.offset == 0.0


def test_the_offset_only_changes_if_an_answer_contradicts_it() -> None:
    """The time does not jump at each answer."""
    clock = Clock()
    found = set()
    for tenth in range(40):
        sent = START + tenth / 10
        clock.answered(formatdate(math.floor(sent + 40.45), usegmt=True), sent, sent)
        found.add(clock.offset)
    assert len(found) <= 3
    assert clock.offset == pytest.approx(40.45, abs=0.1)


@pytest.mark.parametrize(
    "date",
    [
        "",
        "yesterday",
        "Tue, 31 Feb 2026 00:00:00 GMT",
        "Tue, 01 Dec 99999 00:00:00 GMT",
        "Tue, 01 Dec 2026 00:00:00 -0000",
        "1764530000",
        "\x00\x1b[31m",
    ],
)
def test_a_date_that_cannot_be_read_changes_nothing(date: str) -> None:
    """A proxy may send anything."""
    clock = Clock()
    clock.answered(date, START, START)
    assert clock.offset == 0.0


def test_an_answer_during_which_the_local_clock_was_set_back_counts_for_nothing() -> None:
    """Its request seems to be later than itself."""
    clock = Clock()
    clock.answered(formatdate(START, usegmt=True), START, START - 40)
    assert clock.offset == 0.0


async def list_pods(client: Api, api: ApiServer) -> None:
    await client.list(POD, "shop")


async def be_refused(client: Api, api: ApiServer) -> None:
    api.forced["list"] = 403
    with pytest.raises(ApiServerError, match="forbidden"):
        await client.list(POD, "shop")


async def watch_pods(client: Api, api: ApiServer) -> None:
    async for _ in client.watch(POD, str(api.version), "shop", seconds=0.0):
        pass


@pytest.mark.parametrize("ahead", [-40.0, 40.0])
@pytest.mark.parametrize("ask", [list_pods, be_refused, watch_pods])
def test_each_answer_of_the_api_server_sets_the_clock(
    api: ApiServer,
    kubeconfig: Path,
    ahead: float,
    ask: Callable[[Api, ApiServer], Awaitable[None]],
) -> None:
    """The first answer is enough, whatever it is."""
    api.ahead = ahead

    async def scenario() -> None:
        async with asyncio.timeout(LATEST), connected(str(kubeconfig), "") as client:
            assert client.clock.offset == 0.0
            await ask(client, api)
            assert client.clock.offset == pytest.approx(ahead, abs=LATEST / 2)
            assert client.clock.now() == pytest.approx(time.time() + ahead, abs=LATEST / 2)

    asyncio.run(scenario())
