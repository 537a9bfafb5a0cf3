"""Rolling a service under load: nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.process.kit import App
from tests.process.load import Load
from tests.process.rollout import Result, Rollout
from tests.process.rollout_apps import (
    AIOHTTP,
    HYPERCORN,
    QUIET,
    SETTLE,
    SHOP,
    run_asgi,
    run_main,
    uvicorn_wearing,
    write,
)

PROMISED = SETTLE + QUIET + 0.2
MARGIN = 1.0
"""Seconds more than promised: the machine of a test has other things to do."""
CROWDED = 3.0
"""And more until the kubelet's part is done: the preStop's exec and the interpreter's end."""

WEARING = uvicorn_wearing("Middleware(app)")


async def roll(*rollouts: Rollout) -> list[Result]:
    """Roll several services at once, and print what came of it."""
    results = await asyncio.gather(*(each.run() for each in rollouts))
    for result in results:
        print(result)
    return results


def assert_in_order(result: Result) -> None:
    """Everybody left in time, with exit code 0."""
    for leaving in result.left:
        seen = f"{leaving}\n{leaving.said}"
        assert (leaving.code, leaving.prestop in (None, 0)) == (0, True), seen
        promised = PROMISED + result.tally.longest + MARGIN
        assert leaving.drained < promised, seen
        assert leaving.out < promised + CROWDED, seen


def test_nothing_is_lost(start: Callable[..., App], tmp_path: Path) -> None:
    """`run --asgi`, and uvicorn under a main of its own, are rolled without losing a request."""
    write(tmp_path, {"shop": SHOP})

    async def scenario() -> list[Result]:
        asgi, wearing = run_asgi(start), run_main(start, WEARING)
        return await roll(
            Rollout("asgi, preStop", asgi, Load(seed=1), prestop=True),
            Rollout("asgi, SIGTERM", asgi, Load(seed=2), prestop=False),
            Rollout("uvicorn, preStop", wearing, Load(seed=3), prestop=True),
            Rollout("uvicorn, SIGTERM", wearing, Load(seed=4), prestop=False),
        )

    for result in asyncio.run(scenario()):
        assert [result.when(loss) for loss in result.tally.losses] == []
        assert_in_order(result)
        assert result.tally.kept > 100


def test_who_only_looks_does_not_hold_the_drain_up(
    start: Callable[..., App], tmp_path: Path
) -> None:
    """A kubelet, a load balancer and a scraper ask the app's own port: it ends all the same."""
    write(tmp_path, {"shop": SHOP})

    async def scenario() -> list[Result]:
        asgi, wearing = run_asgi(start), run_main(start, WEARING)
        return await roll(
            Rollout("asgi, watched", asgi, Load(seed=5), prestop=True, watched=True),
            Rollout("uvicorn, watched", wearing, Load(seed=6), prestop=False, watched=True),
        )

    for result in asyncio.run(scenario()):
        assert [result.when(loss) for loss in result.tally.losses] == []
        assert_in_order(result)


def test_a_server_that_knows_nothing_of_us_loses_nothing_on_new_connections(
    start: Callable[..., App], tmp_path: Path
) -> None:
    """uvicorn, hypercorn and aiohttp in an unmodified main finish what they have taken."""
    write(tmp_path, {"shop": SHOP})

    async def scenario() -> list[Result]:
        servers = {"uvicorn": uvicorn_wearing("app"), "hypercorn": HYPERCORN, "aiohttp": AIOHTTP}
        return await roll(
            *(
                Rollout(name, run_main(start, source), Load(seed=7), prestop=prestop, replicas=1)
                for prestop, (name, source) in zip((0, 1, 0), servers.items(), strict=True)
            )
        )

    for result in asyncio.run(scenario()):
        new = [loss for loss in result.tally.losses if loss.kind == "new"]
        cut = [loss for loss in result.tally.losses if loss.cause in ("cut off", "timeout")]
        assert [result.when(loss) for loss in new + cut] == []
        assert_in_order(result)


def test_the_count_is_honest(start: Callable[..., App], tmp_path: Path) -> None:
    """Without a settle time new connections are refused, and the same clients say so."""
    write(tmp_path, {"shop": SHOP})
    hasty = run_asgi(start, settle=0, quiet=0)

    async def scenario() -> list[Result]:
        return await roll(
            Rollout("asgi, no settle", hasty, Load(seed=8, slow=0), prestop=False, replicas=1)
        )

    [result] = asyncio.run(scenario())
    assert result.tally.lost("new") > 0
    assert {loss.endpoint.name for loss in result.tally.losses} == {result.left[0].name}
