"""What a registry still knows of a service after it was deregistered, and until when."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from lifecycle.control.services import OPERATOR
from lifecycle.exceptions import RegistrationRefused
from tests.unit.control.registries import (
    Act,
    Forgetful,
    Scripted,
    after,
    failing,
    fine,
    hang,
    table,
)
from tests.unit.virtual_time import now, run, until


def test_offline_and_online_never_forget() -> None:
    """They only deregister and register: what runs on the address may go on."""

    async def main() -> None:
        registry = Forgetful()
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        for _ in range(3):
            services.hold(["orders"], OPERATOR)
            await services.until(lambda: services.all_out)
            assert registry.known == {"orders"}
            assert not services.all_forgotten
            services.release(["orders"], OPERATOR)
            await services.until(lambda: services.all_confirmed)
        assert "forget" not in registry.asked
        await services.close(1)

    run(main())


def test_what_was_never_asked_for_is_not_forgotten() -> None:
    """A service that was never to be registered is nothing that a registry could know."""

    async def main() -> None:
        registry = Forgetful()
        services = table(registry)
        services.withdraw()  # before anything was asked
        await asyncio.sleep(1)
        assert registry.asked == []
        assert services.all_forgotten
        services.forget()
        await asyncio.sleep(1)
        assert registry.asked == []
        await services.close(1)

    run(main())


def test_a_registry_that_does_not_override_it_is_never_asked_to() -> None:
    """For it, deregistered is gone."""

    async def main() -> None:
        services = table(Scripted())
        await services.until(lambda: services.all_confirmed)
        assert services.all_forgotten
        services.withdraw()
        services.forget()
        await services.until(lambda: services.all_out)
        assert services.not_forgotten() == []
        await services.close(1)

    run(main())


@pytest.mark.parametrize(
    "on_register",
    [fine, hang, failing(OSError("no")), failing(RegistrationRefused("no"))],
    ids=["acknowledged", "under way", "failing", "refused"],
)
def test_all_that_was_ever_asked_for_is_forgotten(on_register: Act) -> None:
    """Once, last, and while nothing else of that service is under way."""

    async def main() -> None:
        registry = Forgetful()
        registry.on_register = on_register
        services = table(registry)
        await asyncio.sleep(1)
        services.withdraw()
        await services.until(lambda: services.all_out)
        services.forget()
        services.forget()
        await services.until(lambda: services.all_forgotten)
        assert registry.asked[-1] == "forget"
        assert registry.asked.count("forget") == 1
        assert registry.known == set()
        assert not registry.overlapped
        await asyncio.sleep(60)
        assert registry.asked[-1] == "forget"
        await services.close(1)

    run(main())


@pytest.mark.parametrize("where", ["on_register", "on_deregister", "on_keep"])
def test_what_is_under_way_is_cancelled_to_forget(where: str) -> None:
    """Also a deregistration that hangs: forgetting does its work."""

    async def main() -> None:
        registry = Forgetful()
        setattr(registry, where, hang)
        services = table(registry)
        await asyncio.sleep(1)
        if where == "on_deregister":
            services.withdraw()
            await asyncio.sleep(1)
        services.forget()
        await services.until(lambda: services.all_forgotten)
        assert services.all_out
        assert registry.known == registry.there == set()
        assert not registry.overlapped
        await services.close(1)

    run(main())


def test_forgetting_is_tried_until_the_registry_is_closed() -> None:
    """With pauses as long as the registry says, and its error is shown meanwhile."""

    async def main() -> None:
        registry = Forgetful()
        registry.retry = 1.0
        registry.on_forget = failing(ConnectionError("away"))
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        services.withdraw()
        await services.until(lambda: services.all_out)
        services.forget()
        await asyncio.sleep(20)
        tries = registry.asked.count("forget")
        assert 20 <= tries <= 30
        assert services.not_forgotten() == ["orders@reg: forget: ConnectionError: away"]
        assert services.all_out  # it was deregistered
        registry.on_forget = fine
        began = now()
        await services.until(lambda: services.all_forgotten)
        assert now() - began <= 1.0
        assert services.not_forgotten() == []
        await services.close(1)

    run(main())


def test_forgetting_that_hangs_is_ended_by_its_timeout() -> None:
    """Like every other operation."""

    async def main() -> None:
        registry = Forgetful()
        registry.on_forget = hang
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        services.withdraw()
        services.forget()
        await asyncio.sleep(11)
        assert services.not_forgotten() == ["orders@reg: forget: no answer for 10 s"]
        await services.close(1)

    run(main())


@pytest.mark.parametrize(
    ("on_deregister", "on_forget", "took"),
    [
        (fine, fine, 0),
        (after(3), after(2), 5),
        (hang, fine, 9.5),
        (hang, hang, 10),
        (fine, hang, 10),
        (failing(OSError("no")), failing(OSError("no")), 10),
    ],
    ids=["at once", "slow", "deaf", "hangs", "forgets never", "fails"],
)
def test_a_registry_that_is_removed_forgets_after_it_has_deregistered(
    on_deregister: Act, on_forget: Act, took: float
) -> None:
    """It has its half second in any case, and both have `register_timeout` together."""

    async def main() -> None:
        registry, other = Forgetful(), Forgetful("other")
        registry.on_deregister, registry.on_forget = on_deregister, on_forget
        services = table(registry, other)
        await services.until(lambda: services.all_confirmed)
        began = now()
        await services.remove_registries([registry], 0.5)
        assert now() - began == pytest.approx(took, abs=0.12)
        wanted = ["deregister", "forget"]
        assert [each for each in registry.asked if each in wanted][:1] == ["deregister"]
        assert "forget" in registry.asked
        assert (registry.known == set()) is (on_forget is not hang and took < 10)
        assert registry.closed_at == pytest.approx(began + took, abs=0.12)
        assert "forget" not in other.asked
        await services.close(1)

    run(main())


def test_a_drain_that_starts_meanwhile_forgets_what_is_being_removed() -> None:
    """It waits for it as for its own."""

    async def main() -> None:
        registry = Forgetful()
        registry.on_deregister = hang
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        removing = asyncio.create_task(services.remove_registries([registry], 0.5))
        await asyncio.sleep(1)
        services.withdraw()
        assert not services.all_forgotten
        assert services.not_forgotten() == ["orders@reg: no answer yet"]
        services.forget()
        await services.until(lambda: services.all_forgotten)
        assert registry.known == set()
        await removing
        await services.close(1)

    run(main())


@pytest.mark.parametrize("retry", [0.1, 1.0, 15.0, 60.0])
def test_a_registry_says_how_long_its_pauses_are(retry: float) -> None:
    """No pause is longer, whatever the outage."""

    async def main() -> None:
        registry = Scripted()
        registry.retry = retry
        at: list[float] = []

        async def away() -> None:
            at.append(now())
            raise OSError("away")

        registry.on_register = away
        services = table(registry)
        await until(lambda: len(at) > 15)
        pauses = [later - before for before, later in pairwise(at)]
        assert max(pauses) <= retry + 1e-6
        assert pauses[-1] >= retry * 0.9 - 0.1
        shown = services.status()[0]["registrations"]["reg"]
        assert shown["next_try"] is not None
        assert 0 <= shown["next_try"] <= retry
        await services.close(1)

    run(main())


@pytest.mark.parametrize(("kept", "again"), [(2.0, 0.0), (0.5, 0.1)])
def test_a_registration_kept_for_longer_than_that_is_a_new_beginning(
    kept: float, again: float
) -> None:
    """When it is lost then, it is made again at once, and otherwise after a pause."""

    async def main() -> None:
        registry = Scripted()
        registry.retry = 1.0
        registry.on_keep = after(kept)
        at: list[float] = []

        async def note() -> None:
            at.append(now())

        registry.on_register = note
        services = table(registry)
        await until(lambda: len(at) > 1)
        assert at[1] - at[0] == pytest.approx(kept + again, abs=0.02)
        await services.close(1)

    run(main())
