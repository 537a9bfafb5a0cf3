"""Rolling a service under load: nothing is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lifecycle.rehearsal.measuring.losses import IN_FLIGHT, Cause, Loss
from lifecycle.rehearsal.rehearsal import Rehearsal
from tests.process.rollout import (
    BIND,
    RUN,
    Watched,
    assert_in_order,
    assert_nothing_lost,
    plan,
    roll,
    traffic,
)

ASGI = (*RUN, "--asgi", "shop:app", *BIND)
UVICORN = (*RUN, "mains:uvicorn_inside")
SERVICES = {"LIFECYCLE_SERVICES": "shop:{port}"}


def test_nothing_is_lost(tmp_path: Path) -> None:
    """`run --asgi`, and uvicorn under a main of its own, are rolled without losing a request."""
    plans = {
        f"{words[-1]}, preStop {prestop}": plan(tmp_path, *words, env=SERVICES, prestop=prestop)
        for words in (ASGI, UVICORN)
        for prestop in ("exec", "none")
    }

    for result in asyncio.run(roll({name: Rehearsal(each) for name, each in plans.items()})):
        assert_nothing_lost(result)
        assert_in_order(result)
        assert sum(n for (_, _, kept), n in result.tally.answers.items() if kept) > 100


def test_who_only_looks_does_not_hold_the_drain_up(tmp_path: Path) -> None:
    """A kubelet, a load balancer and a scraper ask the app's own port: it ends all the same."""
    watched = {
        "asgi": Watched(plan(tmp_path, *ASGI, prestop="exec")),
        "uvicorn": Watched(plan(tmp_path, *UVICORN, env=SERVICES, prestop="none")),
    }

    results = asyncio.run(roll(watched))

    assert all(each.asked > 100 for each in watched.values())
    for result in results:
        assert_nothing_lost(result)
        assert_in_order(result)


def test_a_server_that_knows_nothing_of_us_loses_nothing_on_new_connections(
    tmp_path: Path,
) -> None:
    """uvicorn, hypercorn and aiohttp in an unmodified main finish what they have taken."""
    mains = {
        "mains:uvicorn_alone": "none",
        "mains:hypercorn_alone": "exec",
        "aiohttp_main:alone": "none",
    }
    alone = {
        main: Rehearsal(plan(tmp_path, *RUN, main, env=SERVICES, prestop=prestop, replicas=1))
        for main, prestop in mains.items()
    }

    for result in asyncio.run(roll(alone)):
        assert [
            (loss, result.stage(loss), result.since_t0(loss))
            for loss in result.tally.losses
            if not loss.kept or worked_on(loss)
        ] == []
        assert_in_order(result)


def worked_on(loss: Loss) -> bool:
    """Tell whether a server had begun to answer: one may read what it closes as idle."""
    return loss.cause in (Cause.CUT, Cause.TIMEOUT) and loss.at - loss.sent >= IN_FLIGHT


def test_the_count_is_honest(tmp_path: Path) -> None:
    """Without a settle time new connections are refused, and the same clients say so."""
    env = {"LIFECYCLE_SETTLE": "0", "LIFECYCLE_QUIET": "0"}
    brief = traffic(paths=("/",), slow=None)
    hasty = plan(tmp_path, *ASGI, env=env, prestop="none", replicas=1, traffic=brief)

    [result] = asyncio.run(roll({"asgi, no settle": Rehearsal(hasty)}))

    assert result.tally.lost(kept=False) > 0
    assert {loss.pod for loss in result.tally.losses} == {result.replicas[0].name}
