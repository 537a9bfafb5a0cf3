"""How registries are closed: when nothing of them is under way, each in its share of the time."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.control.services import Services
from lifecycle.links import help_page
from tests.unit.control.registries import Scripted, after, failing, hang, table
from tests.unit.virtual_time import Diary, hang_for_ever, now, run


@pytest.mark.parametrize("where", ["on_register", "on_deregister", "on_keep"])
def test_a_registry_is_closed_when_nothing_of_it_is_under_way(where: str) -> None:
    """One method at a time, to the last second: closing waits for what still cleans up."""

    async def main() -> None:
        registry = Scripted()

        async def cleans_up() -> None:
            try:
                await hang_for_ever()
            finally:
                await asyncio.sleep(0.02)

        setattr(registry, where, cleans_up)
        busy: list[int] = []

        async def close() -> None:
            busy.append(sum(registry.busy.values()))

        registry.on_close = close
        services = table(registry, names=("orders", "billing"))
        await asyncio.sleep(1)
        if where == "on_deregister":
            services.withdraw()
            await asyncio.sleep(1)
        began = now()
        await services.close(0.5)
        assert busy == [0]
        assert now() - began == pytest.approx(0.02)

    run(main())


def test_many_registries_are_closed_when_nothing_of_them_is_under_way() -> None:
    """They clean up side by side, and have half of the time for it: five as long as one alone."""

    async def main() -> None:
        registries = [Scripted(name) for name in "abcde"]
        busy: dict[str, int] = {}

        async def cleans_up() -> str:
            try:
                await hang_for_ever()
            finally:
                await asyncio.sleep(0.08)
            return ""

        for each in registries:

            async def close(registry: Scripted = each) -> None:
                busy[registry.name] = sum(registry.busy.values())

            each.on_keep, each.on_close = cleans_up, close
        services = table(*registries)
        await services.until(lambda: services.all_confirmed)
        await asyncio.sleep(1)
        began = now()
        await services.close(0.17)
        assert busy == dict.fromkeys("edcba", 0)
        assert list(busy) == list("edcba")
        assert now() - began == pytest.approx(0.08)

    run(main())


def test_a_registry_that_ignores_its_end_is_closed_all_the_same() -> None:
    """What swallows every cancellation costs its own share of the time, and no more."""

    async def main() -> None:
        free = []
        stubborn, good = Scripted("stubborn"), Scripted("good")

        async def deaf() -> str:
            while not free:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    continue
            return ""

        stubborn.on_keep = deaf
        services = table(good, stubborn)
        await services.until(lambda: services.all_confirmed)
        await asyncio.sleep(1)
        began = now()
        await services.close(0.4)
        assert began < stubborn.closed_at <= began + 0.2
        assert stubborn.closed_at <= good.closed_at <= began + 0.4
        free.append(True)
        await asyncio.sleep(1)

    run(main())


def test_one_that_hangs_leaves_the_others_their_time() -> None:
    """Of 0.9 s for three, the one that hangs takes a third."""

    async def main() -> None:
        registries = [Scripted("a"), Scripted("b"), Scripted("c")]
        for each in registries:
            each.on_close = after(0.25)
        registries[2].on_close = hang
        services = table(*registries)
        await services.until(lambda: services.all_confirmed)
        began = now()
        await services.close(0.9)
        assert registries[1].closed_at - began == pytest.approx(0.55)
        assert registries[0].closed_at - began == pytest.approx(0.8)

    run(main())


@pytest.mark.parametrize("error", [OSError("away"), SystemExit("away"), KeyboardInterrupt("away")])
def test_one_that_fails_while_it_is_closed_is_named(error: BaseException) -> None:
    """The log says which registry could not be closed, and why; the others are closed, silently."""

    async def main() -> None:
        registries = [Scripted("a"), Scripted("b"), Scripted("c")]
        registries[1].on_close = failing(error)
        diary = Diary()
        services = Services(register_timeout=10, log=diary.log)
        services.add_registries(registries)
        await services.close(0.5)
        assert diary.of("registry close") == [
            {"registry": "b", "reason": "away", "see": help_page("registry-not-closed")}
        ]
        assert all(each.closed_at for each in (registries[0], registries[2]))

    run(main())


def test_a_table_says_that_it_is_closed_from_the_first_step_of_its_closing() -> None:
    """Not before; and not only once all are closed: a registry that comes now would stay open."""

    async def main() -> None:
        registry = Scripted()
        seen: list[bool] = []
        services = Services(register_timeout=10, log=Diary().log)
        services.add_registries([registry])

        async def look() -> None:
            seen.append(services.closed)

        registry.on_close = look
        seen.append(services.closed)
        await services.close(0.5)
        seen.append(services.closed)
        assert seen == [False, True, True]

    run(main())
