"""Every host that people run is rolled under load, and loses nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hosts.hosts import HOSTS
from tests.hosts.rolling import QUIET, ROLLOUTS, Host, roll
from tests.process.rollout import Result

AT_ONCE = 6
BEFORE_EXIT = QUIET + 0.2
MARGIN = 1.0
"""Seconds more than promised: the machine of a test has other things to do."""
CROWDED = 12.0
"""And more until the kubelet's part is done: the preStop's exec and the interpreter's end, which
want seconds of work where a framework is imported, and get a share of what six hosts leave."""
A_ROLLOUT = 15.0
"""Seconds of one rollout at most, on a machine that has six under way."""


@pytest.fixture(scope="session")
def rolled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Result]]]:
    """Roll all hosts that this run asks for, several at a time: they mostly wait."""
    asked = {item.name for item in request.session.items}
    folder: Path = tmp_path_factory.mktemp("hosts")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            host.name: pool.submit(roll, host, folder / str(number))
            for number, host in enumerate(HOSTS)
            if f"test_a_host_loses_nothing[{host.name}]" in asked
        }


@pytest.mark.timeout(60 + 3 * ROLLOUTS * A_ROLLOUT)
@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_a_host_loses_nothing(host: Host, rolled: dict[str, Future[Result]]) -> None:
    """On new connections and on kept ones, and every replica is out in time."""
    result = rolled[host.name].result()
    print(result)

    assert [result.when(loss) for loss in result.tally.losses] == []
    assert len(result.left) == ROLLOUTS
    assert result.tally.requests > 40 * ROLLOUTS
    for leaving in result.left:
        seen = f"{leaving}\n{leaving.said}"
        # uvicorn dies of the SIGTERM it was sent, once it has stopped.
        assert leaving.code in (0, -signal.SIGTERM), seen
        assert leaving.prestop in (None, 0), seen
        assert "Traceback" not in leaving.said, seen
        promised = host.settle + BEFORE_EXIT + result.tally.longest + MARGIN
        assert leaving.drained < promised, seen
        assert leaving.out < promised + CROWDED, seen
