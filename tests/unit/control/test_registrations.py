"""One service in one registry: acknowledged, refused, unreachable, lost, and what a bad client does."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.calls.durations import Durations
from lifecycle.control.registration import Actual, Registration
from lifecycle.control.services import OPERATOR, Services
from lifecycle.exceptions import LifecycleError, RegistrationRefused
from tests.unit.control.registries import Scripted, after, failing, fine, hang, row, table
from tests.unit.virtual_time import Diary, instance, run


def test_registered_is_acknowledged() -> None:
    """A service is confirmed when the registry has answered, and not before."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = after(3)
        services = table(registry)
        await asyncio.sleep(2.9)
        assert not services.all_confirmed
        assert row(services).actual is Actual.UNKNOWN
        await asyncio.sleep(0.2)
        assert services.all_confirmed
        assert row(services).actual is Actual.YES
        await services.close(1)

    run(main())


def test_a_cell_that_has_just_been_made() -> None:
    """Nothing is wanted, and nothing is so: no registration, no question, no refusal."""
    registration = Registration(
        Scripted(),
        instance(),
        timeout=10,
        on_change=lambda _: None,
        durations=Durations(),
        log=Diary().log,
    )
    assert (registration.wanted, registration.confirmed, registration.asking) == (
        False,
        False,
        False,
    )
    assert (registration.actual, registration.error, registration.refused) == (Actual.NO, "", None)


def test_nothing_is_registered_before_it_is_wanted() -> None:
    """An exported service waits for `register`."""

    async def main() -> None:
        registry = Scripted()
        services = Services(register_timeout=10, log=Diary().log)
        services.add_registries([registry])
        services.export(instance())
        await asyncio.sleep(10)
        assert registry.asked == []
        assert services.refusal() is None
        services.register()
        await services.until(lambda: services.all_confirmed)
        assert registry.asked[0] == "register"
        await services.close(1)

    run(main())


def test_refused_for_good() -> None:
    """A refusal is not tried again, and is what `ready` will raise."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(RegistrationRefused("no such namespace"))
        services = table(registry)
        await services.until(lambda: services.refusal() is not None)
        await asyncio.sleep(1000)
        assert registry.asked == ["register"]
        assert str(services.refusal()) == "no such namespace"
        assert row(services).error == "refused: no such namespace"
        assert services.all_out
        await services.close(1)

    run(main())


def test_refused_on_a_later_try() -> None:
    """The same if the refusal comes after the registry had been unreachable."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(OSError("away"))
        services = table(registry)
        await asyncio.sleep(5)
        registry.on_register = failing(RegistrationRefused("no"))
        await services.until(lambda: services.refusal() is not None)
        count = len(registry.asked)
        await asyncio.sleep(1000)
        assert len(registry.asked) == count
        await services.close(1)

    run(main())


def test_unreachable_is_tried_for_ever_with_backoff() -> None:
    """A registry that is away is tried again, ever more rarely, for as long as it takes."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(OSError("connection refused"))
        services = table(registry)
        await asyncio.sleep(3600)
        assert 3600 / 16 - 5 < len(registry.asked) < 3600 / 14 + 10
        assert row(services).error == "OSError: connection refused"
        registry.on_register = fine
        await asyncio.sleep(16)
        assert services.all_confirmed
        assert row(services).error == ""
        await services.close(1)

    run(main())


def test_a_sentence_of_ours_needs_no_class() -> None:
    """A registry's LifecycleError is shown as it is."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(LifecycleError("unreachable: no connection"))
        services = table(registry)
        await asyncio.sleep(1)
        assert row(services).error == "unreachable: no connection"
        await services.close(1)

    run(main())


def test_no_answer_in_time() -> None:
    """An operation that hangs is given up after `register_timeout`, said so, and tried again."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = hang
        services = table(registry)
        await asyncio.sleep(10.5)
        assert row(services).error == "no answer for 10 s"
        registry.on_register = fine
        await asyncio.sleep(10.5)
        assert services.all_confirmed
        await services.close(1)

    run(main())


def test_lost_and_registered_again() -> None:
    """A registration that the registry has dropped is a confirmed no, and is made again."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register, registry.on_keep = after(1), after(60)
        services = table(registry)
        verdicts = []
        for _ in range(650):
            await asyncio.sleep(0.1)
            verdicts.append(services.all_confirmed)
        assert registry.asked[:3] == ["register", "keep", "register"]
        changes = [v for before, v in zip([None, *verdicts], verdicts, strict=False) if v != before]
        assert changes == [False, True, False, True]
        await services.close(1)

    run(main())


def test_losing_everything_at_once_is_no_tight_circle() -> None:
    """A registry that forgets, or fails, immediately is asked ever more rarely."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        for lost in (fine, failing(OSError("away"))):
            registry.on_keep = lost
            await asyncio.sleep(60)
            registry.asked.clear()
            await asyncio.sleep(600)
            assert 2 * 30 < len(registry.asked) < 2 * 60
        registry.on_keep = hang
        await asyncio.sleep(20)
        assert services.all_confirmed
        await services.close(1)

    run(main())


def test_what_was_kept_for_long_is_registered_again_at_once() -> None:
    """The pauses begin anew once a registration has held for a while."""

    async def main() -> None:
        registry = Scripted()
        registry.on_keep = fine
        services = table(registry)
        await asyncio.sleep(600)
        registry.on_keep = after(60)
        await asyncio.sleep(20)
        registry.asked.clear()
        await asyncio.sleep(60)
        assert services.all_confirmed
        assert registry.asked == ["register", "keep"]
        await services.close(1)

    run(main())


def test_an_outage_takes_nobody_out() -> None:
    """Not knowing changes no verdict: who was confirmed stays so while the registry is away."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        registry.on_keep = registry.on_register = failing(OSError("away"))
        registration = row(services)
        registration._step.cancel()  # the connection breaks: the heartbeat under way ends
        for _ in range(1000):
            await asyncio.sleep(1)
            assert services.all_confirmed
            assert registration.actual is not Actual.NO
        registry.on_register, registry.on_keep = fine, hang
        await services.until(lambda: registration.actual is Actual.YES)
        await services.close(1)

    run(main())


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (asyncio.CancelledError(), "cancelled its caller"),
        (SystemExit(1), "raised SystemExit"),
        (KeyboardInterrupt(), "raised KeyboardInterrupt"),
        (GeneratorExit(), "raised GeneratorExit"),
    ],
)
@pytest.mark.parametrize("where", ["on_register", "on_keep", "on_deregister"])
def test_a_client_that_breaks_off(where: str, error: BaseException, why: str) -> None:
    """A client library that cancels its caller, or wants to exit, is tried again like any other."""

    async def main() -> None:
        registry = Scripted()
        good = getattr(registry, where)
        setattr(registry, where, failing(error))
        services = table(registry)
        await asyncio.sleep(5)
        services.withdraw() if where == "on_deregister" else None
        await asyncio.sleep(5)
        assert len(registry.asked) < 250
        assert row(services).error == f"the client of the registry {why}"
        setattr(registry, where, good)
        if where == "on_deregister":
            await services.until(lambda: services.all_out)
        else:
            await services.until(lambda: row(services).actual is Actual.YES)
        await services.close(1)

    run(main())


def test_a_deregistration_that_is_cut_short() -> None:
    """Its registry may have obeyed: who is online again before its answer is registered again."""

    async def main() -> None:
        registry = Scripted()

        async def obey_and_answer_late() -> None:
            registry.there.clear()
            await asyncio.sleep(1)

        registry.on_deregister = obey_and_answer_late
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        there = set(registry.there)
        services.hold(there, OPERATOR)
        await asyncio.sleep(0.5)
        assert registry.there == set()
        services.release(there, OPERATOR)
        async with asyncio.timeout(10):
            await services.until(lambda: services.all_confirmed)
        assert registry.there == there
        await services.close(1)

    run(main())


def test_a_registry_that_swallows_a_cancellation() -> None:
    """A client that eats its cancellation is cancelled again, and then taken out."""

    async def main() -> None:
        registry = Scripted()

        async def stubborn() -> None:
            for _ in range(3):
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    continue

        registry.on_register = stubborn
        services = table(registry)
        await asyncio.sleep(1)
        services.withdraw()
        await services.until(lambda: services.all_out)
        assert registry.asked[-1] == "deregister"
        assert registry.there == set()
        assert not registry.overlapped
        await services.close(1)

    run(main())
