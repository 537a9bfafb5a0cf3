"""The watches of the server: what they do without, and how often they ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lifecycle_fleet.cluster.api import connected
from lifecycle_fleet.cluster.follow import LONGEST
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.serve.watches import Watches

from plugins.fleet.tests import pods
from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.test_follow import MINUTE, MOST, Time
from plugins.fleet.tests.test_serve_feed import Log


class Stage:
    """The watches, and a time that goes by only while they sleep."""

    def __init__(self, kubeconfig: Path) -> None:
        self.time = Time()
        self.log = Log()
        self.fleet = Fleet(time.time, all_pods=True)
        self._kubeconfig = kubeconfig

    def play(self, scenario: Callable[[Watches, asyncio.Event], Awaitable[None]]) -> None:
        """Run a scenario with the watches, and an event that is set when they are ready."""

        async def run() -> None:
            ready = asyncio.Event()
            async with asyncio.timeout(LATEST), connected(str(self._kubeconfig), "") as client:
                more = {"clock": lambda: self.time.now, "sleep": self.time.sleep}
                watches = Watches(client, self.fleet, self.log, "shop", "", **more)
                async with asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(watches.run(ready.set))
                    await scenario(watches, ready)
                    running.cancel()

        asyncio.run(run())


@pytest.fixture
def stage(api: ApiServer, kubeconfig: Path) -> Stage:
    """One pod, and the watches."""
    api.put("pods", pods.pod("a"))
    return Stage(kubeconfig)


@pytest.mark.parametrize("code", [429, 500, 503])
def test_no_storm_before_the_first_list(api: ApiServer, stage: Stage, code: int) -> None:
    """An API server that is not well is asked for its lists less and less often."""
    api.forced["list pods"] = code

    async def scenario(watches: Watches, ready: asyncio.Event) -> None:
        await api.until(lambda: stage.time.now >= MINUTE, "a minute")
        assert "pods" in watches.problems
        assert not ready.is_set()

    stage.play(scenario)
    assert MINUTE / LONGEST < api.lists("pods") <= MOST + 2


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize("plural", ["endpointslices", "events"])
def test_a_part_that_may_not_be_read_is_left_out(
    api: ApiServer, stage: Stage, verb: str, plural: str
) -> None:
    """Also if it may be listed, but not watched. The rest is there."""
    api.forced[f"{verb} {plural}"] = 403

    async def scenario(watches: Watches, ready: asyncio.Event) -> None:
        await ready.wait()
        assert watches.missing == [plural]
        assert watches.problems == {}
        assert watches.watching[plural] is False

    stage.play(scenario)
    assert [event for event, _ in stage.log.lines] == ["watch not allowed"]
    assert len(stage.fleet.take().pods) == 1
    assert sum(each.verb == verb and each.plural == plural for each in api.asked) == 1


@pytest.mark.parametrize("verb", ["list", "watch"])
def test_pods_that_may_not_be_read_fail_the_start(api: ApiServer, stage: Stage, verb: str) -> None:
    """There is nothing to show."""
    api.forced[f"{verb} pods"] = 403

    async def scenario(_watches: Watches, _ready: asyncio.Event) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as raised:
        stage.play(scenario)
    assert raised.group_contains(ApiServerError, match=f"forbidden: .* cannot {verb}")
