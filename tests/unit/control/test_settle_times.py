"""The settle time of a drain: the setting, or what a registry with something to lose needs."""

from __future__ import annotations

import asyncio

from lifecycle.control.services import OPERATOR, Services
from lifecycle.control.settle_times import SettleTimes
from tests.unit.control.registries import Scripted, hang, row
from tests.unit.virtual_time import Diary, instance, run


def slow(name: str, settle: float | None) -> Scripted:
    """Return a registry whose clients need so long."""
    registry = Scripted(name)
    registry.settle = settle
    return registry


def table(*registries: Scripted) -> Services:
    """Return a table under a setting of 5 s."""
    services = Services(register_timeout=10, log=Diary().log, settle=5.0)
    services.add_registries(registries)
    services.export(instance("orders"))
    return services


def test_the_longest_time_counts_and_has_a_name() -> None:
    """Of the setting and of each registry that holds a registration."""

    async def main() -> None:
        services = table(slow("none", None), slow("short", 1.0), slow("a", 7.0), slow("b", 9.0))
        assert services.settle == (5.0, "")  # nobody can have found it yet
        services.register()
        await services.until(lambda: services.all_confirmed)
        assert services.settle == (9.0, "b")
        await services.close(1)

    run(main())


def test_a_registry_whose_answer_is_not_known_counts() -> None:
    """Its clients may have seen the address."""

    async def main() -> None:
        registry = slow("slow", 7.0)
        registry.on_register = hang
        services = table(registry)
        services.register()
        await asyncio.sleep(1)
        assert services.settle == (7.0, "slow")
        await services.close(1)

    run(main())


def test_what_was_deregistered_counts_until_its_clients_have_noticed() -> None:
    """A drain after `offline` still waits for those that have not."""

    async def main() -> None:
        services = table(slow("slow", 7.0))
        services.register()
        await services.until(lambda: services.all_confirmed)
        services.hold(["orders"], OPERATOR)
        await services.until(lambda: services.all_out)
        await asyncio.sleep(6.9)
        assert services.settle == (7.0, "slow")
        await asyncio.sleep(0.2)
        assert services.settle == (5.0, "")
        await services.close(1)

    run(main())


def test_the_time_that_counts_when_a_service_goes_offline_is_kept() -> None:
    """`offline --wait` waits that long, although the registry holds nothing any more then."""

    async def main() -> None:
        services = table(slow("slow", 7.0))
        services.register()
        await services.until(lambda: services.all_confirmed)
        now = asyncio.get_running_loop().time
        services.hold(["orders"], OPERATOR)
        assert services.entries["orders"].settles_at == now() + 7.0
        await asyncio.sleep(3)
        services.hold(["orders"], "app")  # it is offline already
        assert services.entries["orders"].settles_at == now() + 4.0
        await services.close(1)

    run(main())


def test_a_registry_that_is_removed_counts_no_longer_than_its_time() -> None:
    """And leaves nothing behind, however many come and go."""

    async def main() -> None:
        services = table()
        services.register()
        for _ in range(20):
            registry = slow("slow", 7.0)
            services.add_registries([registry])
            await services.until(lambda: services.all_confirmed)
            await services.remove_registries([registry], 0.5)
            assert services.settle == (7.0, "slow")
            await asyncio.sleep(8)
            assert services.settle == (5.0, "")
        assert len(services._settle_times._held) == 1
        await services.close(1)

    run(main())


def test_nothing_is_noted_of_a_registry_without_a_time_of_its_own() -> None:
    """Most have none, and cost nothing."""

    async def main() -> None:
        services = table(slow("none", None))
        times = SettleTimes(5.0)
        times.note(row(services, registry="none"))
        assert times._held == {}
        await services.close(1)

    run(main())
