"""Readiness while a service is registered again: what is under way is waited for, for a moment."""

from __future__ import annotations

import asyncio
import re

import pytest

from lifecycle.contracts import Kind
from tests.unit.control.registries import Act, Scripted, With, after, failing, fine
from tests.unit.drain.play import NEVER, Play
from tests.unit.virtual_time import now, run


async def ready_after_online(act: Act, *, required: bool = True) -> tuple[bool, float]:
    """Take a service offline and online; return what readiness says then, and after how long."""
    registry = Scripted(required=required)
    play = await Play(With(registry), probe_timeout=0.8).open()
    conductor = play.stage.conductor
    conductor.services.hold(["orders"], "operator")
    await conductor.services.until(lambda: conductor.services.all_out)
    registry.on_register = act
    conductor.services.release(["orders"], "operator")
    await asyncio.sleep(0.001)
    began = now()
    verdict = await conductor.probes.verdict(Kind.READINESS, play.life)
    took = now() - began
    registry.on_register = fine
    play.signal()
    await play.end()
    return verdict.ok, took


@pytest.mark.parametrize(
    ("act", "ok", "seconds"),
    [
        (after(0.101), True, 0.1),
        (after(0.101, failing(ConnectionError("away"))), False, 0.1),
        (after(NEVER), False, 0.4),
    ],
    ids=["acknowledged", "failed", "never"],
)
def test_readiness_waits_for_an_acknowledgement_that_is_under_way(
    act: Act, *, ok: bool, seconds: float
) -> None:
    """Until it is there or has failed, and no longer than half of the probe's own timeout."""

    async def main() -> None:
        assert await ready_after_online(act) == (ok, pytest.approx(seconds, abs=0.01))

    run(main())


def test_readiness_does_not_wait_for_a_registry_that_is_optional() -> None:
    """What is not required decides nothing: it is not waited for."""

    async def main() -> None:
        assert await ready_after_online(after(NEVER), required=False) == (
            True,
            pytest.approx(0.0, abs=0.01),
        )

    run(main())


def test_readiness_before_ready_waits_for_nothing() -> None:
    """A registration that is under way at the start does not hold an answer up: it is no anyway."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = after(5)
        play = await Play(With(registry)).open(ready=False)
        play.life.export("orders", port=80)
        becoming = asyncio.create_task(play.life.ready())
        await asyncio.sleep(0.01)
        assert play.stage.conductor.services.asking
        began = now()
        verdict = await play.stage.conductor.probes.verdict(Kind.READINESS, play.life)
        assert (verdict.ok, now() - began) == (False, pytest.approx(0.0, abs=0.01))
        await becoming
        play.signal()
        await play.end()

    run(main())


async def reason_of(registry: Scripted, after_seconds: float) -> str:
    """Return why readiness fails while a service is registered again, so long after."""
    play = await Play(With(registry), probe_timeout=0.8).open()
    conductor = play.stage.conductor
    conductor.services.hold(["orders"], "operator")
    await conductor.services.until(lambda: conductor.services.all_out)
    registry.on_register = failing(ConnectionError("away"))
    conductor.services.release(["orders"], "operator")
    await asyncio.sleep(after_seconds)
    (found,) = (await conductor.probes.verdict(Kind.READINESS, play.life, only="services")).answers
    registry.on_register = fine
    play.signal()
    await play.end()
    return found.reason


def test_the_reason_names_the_registry_and_its_next_try() -> None:
    """What is known and since when, the last error, and when it is tried again."""
    registry = Scripted("nacos")
    registry.retry = 1.0
    pattern = (
        r"orders unregistered in nacos \(unknown for \d+\.\d s: ConnectionError: away, "
        r"next try in [01]\.\d s\)"
    )
    assert re.fullmatch(pattern, run(reason_of(registry, 5)))
