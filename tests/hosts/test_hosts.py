"""Every host that people run is rolled under load, and loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest
from anyio.from_thread import start_blocking_portal

from lifecycle.rehearsal.verdict.judge import Verdict
from lifecycle.rehearsal.verdict.result import Result
from tests.hosts.hosts import HOSTS, ROLLOUTS, Host
from tests.hosts.table import ROWS, row
from tests.process.rollout import ATTEMPTS, assert_in_order, assert_nothing_lost, roll

EXACT = ROLLOUTS >= 20
"""Whether the times count: then fewer hosts share the machine."""
AT_ONCE = 3 if EXACT else 4
NOISY = 12.0
"""Seconds more until the kubelet's part is done: the preStop's exec and the interpreter's end,
which want seconds of work where a framework is imported, and get a share of what others leave."""
CROWDED = 0.0 if EXACT else NOISY
"""Likewise, unless the rehearsal itself has found its machine too noisy to tell."""
A_ROLLOUT = 15.0
"""Seconds of one rollout at most, on a machine that has several under way."""


@pytest.fixture(scope="session")
def rolled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Result]]]:
    """Roll all hosts that this run asks for, several at a time: they mostly wait."""
    asked = {item.name for item in request.session.items}
    slots = asyncio.Semaphore(AT_ONCE)

    async def play(host: Host) -> Result:
        async with slots:
            rehearsal = host.rehearsal(tmp_path_factory.mktemp("host"))
            return (await roll({host.name: rehearsal}))[0]

    with start_blocking_portal() as portal:
        yield {
            host.name: portal.start_task_soon(play, host)
            for host in HOSTS
            if f"test_a_host_loses_nothing[{host.name}]" in asked
        }


@pytest.mark.timeout(60 + 3 * ATTEMPTS * ROLLOUTS * A_ROLLOUT)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_a_host_loses_nothing(
    host: Host,
    rolled: dict[str, Future[Result]],
    record_property: Callable[[str, object], None],
) -> None:
    """On new connections and on kept ones, and every replica is out in time."""
    result = rolled[host.name].result()
    record_property(ROWS, [row(host, result)])

    assert_nothing_lost(result)
    assert len(result.rollouts) == ROLLOUTS
    assert result.tally.requests > 40 * ROLLOUTS
    crowded = NOISY if result.verdict is Verdict.INCONCLUSIVE else CROWDED
    assert_in_order(
        result, codes=host.codes, settle=host.settle, own_end=host.own_end, crowded=crowded
    )
